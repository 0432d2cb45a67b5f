"""Start programs in the background and stop exactly those, however they ended in between."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from understudy.contract.declared import Fact

SAME_START_S = 2.0  # how exactly the system remembers when a process started
GRACE_S = 10.0


class Started(Fact):
    """Identify a process for as long as the machine runs: its number is reused, its number and start time are not."""

    name: str
    pid: int
    since: float
    """As the system remembers it, to the second at best."""
    asked_at: float
    """By the clock, before it could do anything: what it does is never older."""


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> Started:
    """Start a program that outlives this one, as the leader of its own process group."""
    log.parent.mkdir(parents=True, exist_ok=True)
    asked_at = time.time()
    with log.open("ab") as stream:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # it is meant to outlive this object, which would otherwise warn about that
    return Started(name=name, pid=process.pid, since=psutil.Process(process.pid).create_time(), asked_at=asked_at)


def is_alive(started: Started) -> bool:
    """Tell whether the very process that was started is still running."""
    try:
        process = psutil.Process(started.pid)
        same = abs(process.create_time() - started.since) < SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listens(started: Started, port: int) -> bool:
    """Tell whether it is this program, or one that it started, that accepts connections on a port."""
    return any(port in _listening(process) for process in _family(started))


def stop(all_started: Sequence[Started], grace_s: float = GRACE_S) -> list[str]:
    """Stop programs with everything they started; return the names of those that were still running."""
    family = {started.name: _family(started) for started in all_started}
    everyone = [process for members in family.values() for process in members]
    for process in everyone:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(everyone, timeout=grace_s)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=GRACE_S)
    return [name for name, members in family.items() if members]


def _family(started: Started) -> list[psutil.Process]:
    """Find a program, its descendants, and what is left of its process group where the program itself has died."""
    if is_alive(started):
        leader = psutil.Process(started.pid)
        return [leader, *leader.children(recursive=True)]
    if psutil.pid_exists(started.pid) and not _is_zombie(started.pid):
        return []  # the number belongs to somebody else by now
    return [member for process in psutil.process_iter() if (member := _orphan(process, started)) is not None]


def _listening(process: psutil.Process) -> set[int]:
    try:
        found = process.net_connections("tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return set()  # it ended just now, or it changed its user, which none of ours does
    return {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}


def _orphan(process: psutil.Process, started: Started) -> psutil.Process | None:
    try:
        in_group = os.getpgid(process.pid) == started.pid
        return process if in_group and process.create_time() >= started.since - SAME_START_S else None
    except (ProcessLookupError, PermissionError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
