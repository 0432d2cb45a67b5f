"""What a scoring process takes from itself before it touches a model, as far as the system lets it."""

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from understudy.contract.words import Confinement
from understudy.gateway.scoring.libc import call
from understudy.gateway.scoring.system_calls import forbid_system_calls

NOBODY = 65532
OPEN_FILES = 64
KILL_FIRST = "500"  # out of memory, the kernel takes a scoring process before the gateway, whose own adjustment is 0
CLONE_NEWNET, CLONE_NEWIPC = 0x40000000, 0x08000000
PR_SET_NO_NEW_PRIVS = 38


def confine(folder: Path) -> tuple[Confinement, ...]:
    """Give up rights and say which are gone; threads that are there already keep some of theirs.

    :param folder: what must stay readable.
    """
    steps: list[Callable[[], list[Confinement]]] = [
        _limit,
        _yield_memory_first,
        _no_new_privileges,
        _leave_network,
        lambda: _become_nobody(folder),
        # After the steps above: some of their own calls are among the forbidden.
        forbid_system_calls,
    ]
    return _tried(steps)


def limit_memory(memory_bytes: int) -> tuple[Confinement, ...]:
    """Limit what may be allocated from now on, and say so."""
    return _tried([lambda: _limit_memory(memory_bytes)])


def _tried(steps: list[Callable[[], list[Confinement]]]) -> tuple[Confinement, ...]:
    held: list[Confinement] = []
    for step in steps:
        try:
            held += step()
        except (OSError, ValueError):  # macOS answers limits that it does not know with a ValueError
            continue  # not to be had here; what is not listed does not hold
    return tuple(dict.fromkeys(held))


def _limit() -> list[Confinement]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails with an error instead of a signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    return [Confinement.NO_WRITING_TO_FILES, Confinement.NO_CORE_DUMPS]


def _yield_memory_first() -> list[Confinement]:
    Path("/proc/self/oom_score_adj").write_text(KILL_FIRST, encoding="ascii")
    return [Confinement.FIRST_TO_GO]


def _no_new_privileges() -> list[Confinement]:
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return [Confinement.NO_PRIVILEGES]


def _leave_network() -> list[Confinement]:
    call("unshare", CLONE_NEWNET | CLONE_NEWIPC)
    return [Confinement.NO_NETWORK]


def _become_nobody(folder: Path) -> list[Confinement]:
    """Give up root where the files that are still to be read do not need it."""
    if os.geteuid() != 0:
        return [Confinement.NO_ROOT]
    # Libraries import more of themselves later, so Python's own files must stay readable, too.
    python = [Path(os.__file__), *(Path(str(sys.modules[name].__file__)) for name in ("numpy", "understudy"))]
    needed = [*python, *(found for found in folder.rglob("*") if found.is_file())]
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    is_enough = _can_read(needed)
    os.seteuid(0)
    os.setegid(0)
    if not is_enough:
        return []
    os.setgid(NOBODY)  # of root, these change the real and the saved one, too
    os.setuid(NOBODY)
    return [Confinement.NO_ROOT]


def _can_read(files: list[Path]) -> bool:
    try:
        for path in files:
            path.open("rb").close()
    except OSError:
        return False
    return True


def _limit_memory(memory_bytes: int) -> list[Confinement]:
    """Limit what is allocated (RLIMIT_DATA), and what is mapped beside it, such as shared memory (RLIMIT_AS)."""
    mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))
    return [Confinement.MEMORY]
