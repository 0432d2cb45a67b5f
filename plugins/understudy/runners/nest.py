"""The process that stages are forked from: it imports what they need, once, and then only forks.

Run as ``python -m understudy.runners.nest DESCRIPTOR``. At the descriptor arrive the folders of jobs, each with what is
to be the stage's standard input; a byte goes back once the job can be found. It ends when the descriptor closes, and
the stages go on.
"""

import gc
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from understudy.runners.supervise import Supervisor, leave, limit

PRELOAD = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
    "skops.io",
)
"""What takes seconds and keeps no thread busy. Not polars, whose locks a fork may inherit closed, and not matplotlib,
which looks for its folder when it is imported."""
ENTRY = "understudy.stages.entry"
FOLDER_LIMIT_BYTES = 1 << 16


class ForkedStage:
    """A stage that is a fork of its supervisor."""

    def __init__(self, pid: int, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = stdout
        self.stderr: IO[bytes] | None = stderr
        self.returncode = 0

    def poll(self) -> int | None:
        """Give the exit code once it has ended, negative for a signal."""
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended:
            return None
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def main(descriptor: int) -> None:
    """Import, say so, and fork a supervisor for each folder that arrives."""
    stage = _preload()
    control = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries supervisors that have ended
    control.sendall(b"R")
    while True:
        said, received, _, _ = socket.recv_fds(control, FOLDER_LIMIT_BYTES, 1)
        if not said:
            return
        folder = Path(os.fsdecode(said))
        _read_from(received[0])
        is_begun = leave(folder)
        if is_begun is None:
            control.close()
            _supervise(folder, stage)
        _read_from(os.open(os.devnull, os.O_RDONLY))
        control.sendall(b"1" if is_begun else b"0")


def _read_from(descriptor: int) -> None:
    """Make it the standard input, which forks inherit."""
    os.dup2(descriptor, 0)
    os.close(descriptor)


def _preload() -> Callable[[], int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in PRELOAD:
            import_module(name)
    entry = import_module(ENTRY)
    gc.collect()
    gc.freeze()  # the collector leaves what is shared alone, so that it stays shared
    return entry.main  # type: ignore[no-any-return]


def _supervise(folder: Path, stage: Callable[[], int]) -> None:
    """Watch over a stage and end; the stage itself leaves as a program does, through ``SystemExit``."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def start(plan: dict[str, Any], work: Path) -> ForkedStage:
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(to_out, 1)
            os.dup2(to_err, 2)
            for pipe in (out, to_out, err, to_err):
                os.close(pipe)
            _become(plan, work)
            sys.exit(stage())
        os.close(to_out)
        os.close(to_err)
        return ForkedStage(pid, os.fdopen(out, "rb", buffering=0), os.fdopen(err, "rb", buffering=0))

    try:
        Supervisor(folder, start).run()
    except Exception:  # noqa: BLE001 - nobody listens to a supervisor; the job without an exit.json counts as broken
        os._exit(1)
    os._exit(0)


def _become(plan: dict[str, Any], work: Path) -> None:
    """Have the folder, the environment and the limits of a stage, and nothing at random that another one has."""
    import numpy as np

    os.environ.clear()
    os.environ.update(plan["env"])
    os.chdir(work)
    sys.path[0], sys.argv = str(work), plan["command"][-1:]
    tempfile.tempdir = None
    np.random.seed()
    limit(plan["limits"]["memory_bytes"])


if __name__ == "__main__":
    main(int(sys.argv[1]))
