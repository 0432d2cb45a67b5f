"""Save the stages that a process starts one after the other the seconds that each would spend on imports.

For a process that runs several stages itself (a retraining without a scheduler, a replay): each of its stages is forked
from one that has imported pandas and scikit-learn already, and is in everything else what it would be as a program of
its own. A task of a scheduler runs one stage, and nothing could be spared.
"""

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from understudy.runners.environment import FIXED, THREADS
from understudy.runners.errors import StartFailed
from understudy.runners.supervise import LINUX

READ_AT_START = (*FIXED, *THREADS, "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""What the interpreter and its libraries read of the environment once, so that a fork has its parent's."""
ANSWER_WITHIN_S = 60.0


class Nursery:
    """Have stages forked by a process that is started with the first of them, and ready for a later one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._environment: dict[str, str] = {}
        self._is_ready = False

    def begin(self, folder: Path, line: bytes, environment: Mapping[str, str]) -> bool:
        """Start the supervisor of a prepared job, whose stage reads ``line``.

        :returns: False where nothing began: the libraries are not imported yet, or the stage needs other settings.
        :raises StartFailed: where nobody can tell whether it began.
        """
        wanted = {name: environment[name] for name in READ_AT_START if name in environment}
        with self._lock:
            if self._process is None:
                self._start(wanted)
            if self._control is None or wanted != self._environment or not self._hears_ready(self._control):
                return False
            return self._hand_over(self._control, folder, line)

    def close(self) -> None:
        """End the process to fork from; the stages that it forked go on."""
        with self._lock:
            self._give_up()

    def _start(self, environment: dict[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(ANSWER_WITHIN_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "understudy.runners.nest", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control, self._environment = ours, environment

    def _hears_ready(self, control: socket.socket) -> bool:
        if not self._is_ready and select.select([control], [], [], 0)[0]:
            self._is_ready = control.recv(1) == b"R"
            if not self._is_ready:
                self._give_up()  # it ended, so the stages start alone, which shows what is wrong
        return self._is_ready

    def _hand_over(self, control: socket.socket, folder: Path, line: bytes) -> bool:
        reading, writing = os.pipe()
        try:
            with os.fdopen(writing, "wb") as secrets:
                try:
                    socket.send_fds(control, [os.fsencode(folder)], [reading])
                except OSError:  # it is gone, and has not read this
                    self._give_up()
                    return False
                secrets.write(line)
            answer = control.recv(1)
        except OSError as silent:
            self._give_up()
            raise StartFailed(folder.name, f"the process to fork from does not answer ({silent})") from silent
        finally:
            os.close(reading)
        if answer != b"1":
            self._give_up()
            raise StartFailed(folder.name, "the process to fork from ended")
        return True

    def _give_up(self) -> None:
        """End it for good: one that only hung must not begin later what was asked of it, beside the retry."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()


_of_this_process: Nursery | None = None


@contextmanager
def nursery() -> Iterator[None]:
    """Fork the stages that this process starts meanwhile; where a fork is not safe, as on macOS, start each alone.

    One that is opened while another is open serves instead of that until it is closed.
    """
    global _of_this_process  # noqa: PLW0603 - which processes a process has is a fact about it, whoever asks
    if not LINUX:
        yield
        return
    before, ours = _of_this_process, Nursery()
    _of_this_process = ours
    try:
        yield
    finally:
        _of_this_process = before
        ours.close()


def forked(folder: Path, line: bytes, environment: Mapping[str, str]) -> bool:
    """Start a prepared job from this process's nursery; False where there is none, or it cannot yet."""
    return _of_this_process is not None and _of_this_process.begin(folder, line, environment)
