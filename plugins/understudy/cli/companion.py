"""Keep a second program running for exactly as long as this one."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""Whoever ran that long has started well: the next pause is the first one again."""
GRACE_S = 10.0


class Companion:
    """Start a program, and start it again when it dies, later each time.

    It holds the other end of the program's standard input, which the system closes when this process dies, however
    that happens: the program is meant to end then.

    :param on_death: told after how many seconds which exit status ended it, and when it is tried again.
    """

    def __init__(self, command: Sequence[str], on_death: Callable[[float, int, float], None]) -> None:
        self._command = list(command)
        self._on_death = on_death
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._program: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="companion", daemon=True)

    def start(self) -> None:
        """Start it now."""
        self._keeper.start()

    def stop(self) -> None:
        """End it, in peace if it is quick."""
        with self._lock:
            self._is_over.set()
            program = self._program
        if program is not None:
            assert program.stdin is not None  # noqa: S101 - it was started with a pipe
            program.stdin.close()
            try:
                program.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                program.kill()
        self._keeper.join(GRACE_S)

    def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            begun = time.monotonic()
            with self._lock:
                if self._is_over.is_set():
                    return
                # A session of its own, so that an interrupt at the terminal reaches it through its input's end only.
                program = self._program = subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)
            with program:  # closes its input once it has ended
                status = program.wait()
            lasted = time.monotonic() - begun
            pause = FIRST_PAUSE_S if lasted > STEADY_S else pause
            if self._is_over.is_set():
                return
            self._on_death(lasted, status, pause)
            if self._is_over.wait(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE_S)
