"""Watch over one stage in a process of its own, so that the stage outlives the worker that started it.

Run as a script (``python -I -S supervise.py FOLDER``) with the standard library only, because it starts with every
stage. The folder holds ``plan.json`` (command, environment, limits); the supervisor adds ``job.json`` (who it is),
``log`` (both streams, framed) and ``exit.json`` (how the stage ended).
"""

import json
import os
import resource
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

LOG_LIMIT_BYTES = 200 << 20
TAIL_BYTES = 4096
ABORTS_OF_NATIVE_ALLOCATORS = (b"memory allocation of", b"bad_alloc", b"out of memory")
STAT_PPID, STAT_PGRP, STAT_START, STAT_RSS = 1, 2, 19, 21  # fields of /proc/<pid>/stat after the command's name
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")
LOOK_EVERY_S = 0.1 if LINUX else 0.5  # elsewhere each look is a run of ps


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def started(pid: int) -> str | None:
    """Tell when a living process started, in a form that no later process of the same number shares."""
    if LINUX:
        facts = _stat(pid)
        return None if facts is None or facts[0] == "Z" else facts[STAT_START]
    shown = _ps("-o", "stat=,lstart=", "-p", str(pid)).split()
    return None if not shown or shown[0].startswith("Z") else " ".join(shown[1:])


def members(group: int) -> dict[int, int]:
    """Map each living process of a group to the bytes that it holds in memory.

    On Linux, also each that descends from the group's leader: a helper in a session of its own is in another group.
    """
    if LINUX:
        page = os.sysconf("SC_PAGE_SIZE")
        stats = {int(entry): _stat(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
        known = {pid: stat for pid, stat in stats.items() if stat}
        parents = {pid: int(stat[STAT_PPID]) for pid, stat in known.items()}
        return {
            pid: int(stat[STAT_RSS]) * page
            for pid, stat in known.items()
            if stat[0] != "Z" and (int(stat[STAT_PGRP]) == group or _descends(pid, group, parents))
        }
    rows = [row.split() for row in _ps("-axo", "pid=,pgid=,rss=,stat=").splitlines()]
    return {
        int(pid): int(kib) << 10 for pid, pgid, kib, state in rows if int(pgid) == group and not state.startswith("Z")
    }


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    """Follow the parents; what was read while processes came and went may lead nowhere, but never round for ever."""
    for _ in parents:
        if pid == ancestor:
            return True
        if pid not in parents:
            return False
        pid = parents[pid]
    return False


def adopt_orphans() -> None:
    """Become the parent of helpers whose own parent ends, which would else be nobody's; only Linux can do that."""
    if LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _ps(*what: str) -> str:
    """Ask where there is no /proc, as on macOS.

    Worker and supervisor must read the same, so language and zone are fixed. A session of its own keeps it from being
    counted among the stage's helpers.
    """
    fixed = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(
        ["ps", *what], env=fixed, capture_output=True, text=True, check=False, start_new_session=True
    ).stdout


def kill_helpers(supervisor: int) -> None:
    """Kill the stage of a supervisor, and whatever it has started."""
    for pid in members(supervisor):
        if pid != supervisor:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def out_of_memory_kills() -> int:
    """Count how often the kernel has killed for lack of memory since it started; 0 where it does not say."""
    try:
        facts = dict(line.split() for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines())
    except OSError:
        return 0
    return int(facts.get("oom_kill", 0))


def write_json(path: Path, body: dict[str, Any]) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(body), encoding="utf-8")
    draft.replace(path)


class StageProcess(Protocol):
    """A stage that was started, as ``subprocess.Popen`` shows it."""

    stdout: IO[bytes] | None
    stderr: IO[bytes] | None
    returncode: int

    def poll(self) -> int | None:
        """Give the exit code once it has ended, negative for a signal."""


StageStart = Callable[[dict[str, Any], Path], StageProcess]
"""Starts the stage of a plan in a folder."""


def start_command(plan: dict[str, Any], work: Path) -> "subprocess.Popen[bytes]":
    """Start a stage as the program that it is."""
    return subprocess.Popen(
        plan["command"],
        cwd=work,
        env=plan["env"],
        stdin=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: limit(plan["limits"]["memory_bytes"]),  # noqa: PLW1509
    )


class Supervisor:
    """Run the plan of a folder, keep its log, and hold the stage to its limits."""

    def __init__(self, folder: Path, start: StageStart = start_command) -> None:
        self.folder = folder
        self.start = start
        self.plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.cause = "exited"
        self.tail = b""
        self.kills_before = out_of_memory_kills()

    def run(self) -> None:
        """Start the stage, copy its output, and record how it ended."""
        limits = self.plan["limits"]
        adopt_orphans()
        stage = self.start(self.plan, self.folder / "work")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # else the stage's standard input would never end
        deadline = time.monotonic() + limits["timeout_s"]
        with (self.folder / "log").open("ab", buffering=0) as log, selectors.DefaultSelector() as streams:
            for number, pipe in ((1, stage.stdout), (2, stage.stderr)):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    streams.register(pipe, selectors.EVENT_READ, number)
            looked = 0.0
            while stage.poll() is None:
                self._copy(streams, log, LOOK_EVERY_S)
                now = time.monotonic()
                if now - looked >= LOOK_EVERY_S:
                    looked = now
                    self._hold(limits["memory_bytes"], now > deadline)
            kill_helpers(os.getpid())
            while streams.get_map() and self._copy(streams, log, 0):
                pass
        write_json(self.folder / "exit.json", {"exit_code": stage.returncode, "cause": self._cause(stage.returncode)})

    def _copy(self, streams: selectors.BaseSelector, log: Any, wait_s: float) -> bool:
        ready = streams.select(wait_s)
        for key, _ in ready:
            chunk = os.read(key.fd, 1 << 16)
            if not chunk:
                streams.unregister(key.fileobj)
                continue
            if log.tell() < LOG_LIMIT_BYTES:  # a stage that talks without end must not fill the disk
                log.write(struct.pack(">BxxxL", key.data, len(chunk)) + chunk)
            self.tail = (self.tail + chunk)[-TAIL_BYTES:]
        return bool(ready)

    def _hold(self, memory_bytes: int, is_late: bool) -> None:
        held = members(os.getpid())
        held.pop(os.getpid(), None)
        if sum(held.values()) > memory_bytes:
            self.cause = "memory"
        elif is_late:
            self.cause = "timeout"
        else:
            return
        kill_helpers(os.getpid())

    def _cause(self, exit_code: int) -> str:
        if exit_code == -signal.SIGKILL and self.cause == "exited" and out_of_memory_kills() > self.kills_before:
            return "memory"
        if exit_code == -signal.SIGABRT and any(words in self.tail for words in ABORTS_OF_NATIVE_ALLOCATORS):
            return "memory"
        return self.cause


def limit(memory_bytes: int) -> None:
    """Bound what this process, which becomes a stage, may allocate."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if LINUX:
        # RLIMIT_AS would count address space that numpy's threads and Arrow's and polars' allocators reserve and never
        # touch, so the supervisor watches what is resident; this stops one huge allocation that would outrun it.
        resource.setrlimit(resource.RLIMIT_DATA, (2 * memory_bytes + (4 << 30),) * 2)


def leave(folder: Path) -> bool | None:
    """Fork a process that is free of the worker: of its session, its signals, its life time.

    :returns: in the parent, whether the job can be found; in the fork, which is to supervise it, None.
    """
    listen, tell = os.pipe()
    if os.fork():
        os.close(tell)
        with os.fdopen(listen, "rb") as heard:
            return bool(heard.read(1))
    os.close(listen)
    os.setsid()
    write_json(folder / "job.json", {"pid": os.getpid(), "started": started(os.getpid()), "dir": str(folder)})
    os.write(tell, b"1")
    os.close(tell)
    return None


def main(folder: Path) -> None:
    """Supervise the job of a folder; end at once in the process that was called, with 1 if it cannot be found."""
    is_begun = leave(folder)
    if is_begun is None:
        Supervisor(folder).run()
    else:
        os._exit(0 if is_begun else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
