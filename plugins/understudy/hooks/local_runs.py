"""Runs without a scheduler, told by a lock that the system gives back when its holder dies, however it dies."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from understudy.contract.local_run import LocalRun

TRIES = 5
PAUSE_S = 0.1
"""Between two tries: who asks whether a run goes on holds its lock for a moment."""
_held: set[Path] = set()
"""The locks of this process."""


@contextmanager
def alone(home: Path, dag_id: str) -> Iterator[None]:
    """Hold a DAG's lock while the block runs; raise BlockingIOError where another process does."""
    path = _lock_of(home, dag_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lock:
        for left in reversed(range(TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(PAUSE_S)
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)


def this_process(home: Path, dag_id: str) -> LocalRun | None:
    """Say where this process runs a DAG; None where it holds no lock, so that nobody could tell whether it lives."""
    if _lock_of(home, dag_id) not in _held:
        return None
    path = _place_of(home)
    own = path.with_name(f"{path.name}-{os.getpid()}")
    own.write_text(uuid4().hex, encoding="utf-8")
    with suppress(FileExistsError):
        os.link(own, path)  # the first one names the place, and whoever comes second takes that name
    own.unlink()
    return LocalRun(host=socket.gethostname(), place=path.read_text(encoding="utf-8"))


def has_died(home: Path, dag_id: str, place: str) -> bool:
    """Tell a run that is over from one that goes on; of one that has its process elsewhere nobody here can say so.

    :param place: where it has its process, as :class:`LocalRun` names it.
    """
    try:
        if _place_of(home).read_text(encoding="utf-8") != place:
            return False
        with _lock_of(home, dag_id).open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # it holds its lock, or nothing of it is here
        return False
    return True


def _lock_of(home: Path, dag_id: str) -> Path:
    return home.resolve() / "local" / "running" / dag_id


def _place_of(home: Path) -> Path:
    return home.resolve() / "local" / "place"
