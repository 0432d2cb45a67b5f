"""What serves, as files that the switch and the target share: each is replaced whole, so nobody reads half of one."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.contract.declared import Fact
from understudy.hooks.places.errors import TargetUnreachable

PAUSE_S = 0.05


class Server(Fact):
    """Name one ``mlflow models serve`` process."""

    version: int
    model_sha256: str
    port: int
    pid: int
    started: float
    """When, as the operating system tells it: a process id alone may be somebody else's by now."""


class Serving(Fact):
    """Say which server answers callers, under which record."""

    epoch: int
    server: Server


class State:
    """Keep the files of one model."""

    def __init__(self, home: Path, model: str) -> None:
        self.folder = home / model
        self.log = self.folder / "servers.log"
        self._serving = self.folder / "serving.json"
        self._servers = self.folder / "servers"

    def serving(self) -> Serving | None:
        """Read what answers now."""
        try:
            return Serving.model_validate_json(self._serving.read_bytes())
        except FileNotFoundError:
            return None

    def switch_to(self, serving: Serving) -> None:
        """Let every request that arrives from now on go to another server."""
        _replace(self._serving, serving)

    def switch_off(self) -> None:
        """Let nothing answer."""
        self._serving.unlink(missing_ok=True)

    def servers(self) -> list[Server]:
        """List the servers that were started and not stopped."""
        return [Server.model_validate_json(path.read_bytes()) for path in sorted(self._servers.glob("*.json"))]

    def remember(self, server: Server) -> None:
        """Note that a server was started."""
        self._servers.mkdir(parents=True, exist_ok=True)
        _replace(self._servers / f"{server.version}.json", server)

    def forget(self, server: Server) -> None:
        """Note that a server was stopped."""
        (self._servers / f"{server.version}.json").unlink(missing_ok=True)

    @contextmanager
    def locked(self, timeout_s: float) -> Iterator[None]:
        """Be the only one who starts, switches and stops.

        :raises TargetUnreachable: where somebody else is at it for too long.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_s
        with (self.folder / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as busy:
                    if time.monotonic() >= deadline:
                        raise TargetUnreachable(str(self.folder), "somebody else is changing what serves") from busy
                    time.sleep(PAUSE_S)
            yield


def _replace(path: Path, fact: Fact) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(fact.model_dump_json(), encoding="utf-8")
    os.replace(draft, path)
