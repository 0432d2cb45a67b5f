"""A serving target: ``mlflow models serve`` behind a switch, a process for each version that answers or may again."""

import time
from pathlib import Path
from typing import ClassVar

import httpx

from include.examples.mlflow_serve import servers
from include.examples.mlflow_serve.state import Server, Serving, State
from understudy.contract.declared import Declared
from understudy.contract.release import Bundle
from understudy.contract.serving import Acknowledgement, ModelStatus, PrepareOrder, ServingOrder, WorkerStatus
from understudy.contract.serving_target import Answered, TargetSetup
from understudy.contract.words import Capability, Role
from understudy.hooks.places.errors import TargetIsAhead, TargetRefused, TargetUnreachable
from understudy.hooks.registry.bundle_files import digest_of

VERSION_HEADER, EPOCH_HEADER = "X-Served-Version", "X-Served-Epoch"


class Options(Declared):
    """Say where the switch is, and where both keep their files."""

    home: Path
    """A folder of this machine."""
    url: str = "http://127.0.0.1:5050"
    """The switch's address."""


class MlflowServe:
    """Start a new process, try it, let the switch change over, stop what nobody can go back to."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    options: ClassVar[type[Declared]] = Options

    def __init__(self, setup: TargetSetup) -> None:
        chosen = Options.model_validate(setup.options)
        self.name = chosen.url
        self._home = chosen.home
        self._setup = setup

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        """Start a server for the version beside the one that answers, and try it."""
        deadline = time.monotonic() + timeout_s
        state = State(self._home, order.bundle.model)
        with state.locked(timeout_s):
            self._server(state, order.bundle, deadline)

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        """Let the champion's server answer; keep the previous champion's warm for a rollback, and stop all others."""
        begun = time.monotonic()
        record = order.record
        state = State(self._home, record.model)
        with state.locked(timeout_s):
            serving = state.serving()
            if serving is not None and serving.epoch > record.epoch:
                raise TargetIsAhead(self.name, f"epoch {serving.epoch} is served here")
            server = self._server(state, record.champion, begun + timeout_s)
            state.switch_to(Serving(epoch=record.epoch, server=server))
            flipped = time.monotonic()
            kept = {bundle.model_sha256 for bundle in (record.champion, record.previous) if bundle is not None}
            _stop_all_but(state, kept)
        return Acknowledgement(
            gateway=self.name,
            model=record.model,
            epoch=record.epoch,
            version=record.champion.version,
            flip_ms=1000 * (flipped - begun),
        )

    def status(self, model: str, timeout_s: float) -> ModelStatus:  # noqa: ARG002 - files answer at once
        """Read what serves from the files that the switch reads."""
        serving = State(self._home, model).serving()
        if serving is None:
            return ModelStatus(gateway=self.name, model=model, epoch=0, version=None, workers=())
        process = servers.process_of(serving.server)
        worker = WorkerStatus(
            version=serving.server.version,
            role=Role.CHAMPION,
            pid=serving.server.pid,
            is_ready=process is not None,
            restarts=0,
            rss_bytes=process.memory_info().rss if process else None,
            queued=0,
            problem=None if process else "its process is gone; promote or roll back again to start it",
        )
        return ModelStatus(
            gateway=self.name, model=model, epoch=serving.epoch, version=serving.server.version, workers=(worker,)
        )

    def forget(self, model: str, timeout_s: float) -> None:
        """Let nothing answer for a model, and stop its servers."""
        state = State(self._home, model)
        with state.locked(timeout_s):
            state.switch_off()
            _stop_all_but(state, set())

    def probe(self, model: str, request: bytes | None, timeout_s: float) -> Answered:
        """Ask through the switch, as callers do."""
        try:
            with httpx.Client(base_url=self.name, trust_env=False, timeout=timeout_s) as client:
                if request is None:
                    answer = client.get(f"/models/{model}/ping")
                else:
                    headers = {"Content-Type": "application/json"}
                    answer = client.post(f"/models/{model}/invocations", content=request, headers=headers)
        except httpx.HTTPError as broken:
            raise TargetUnreachable(self.name, str(broken) or type(broken).__name__) from broken
        told = f"a probe request was answered with HTTP {answer.status_code}"
        if answer.status_code == 503:
            raise TargetUnreachable(self.name, told)
        if answer.status_code != 200:
            raise TargetRefused(self.name, told)
        return Answered(version=int(answer.headers[VERSION_HEADER]), epoch=int(answer.headers[EPOCH_HEADER]))

    def _server(self, state: State, bundle: Bundle, deadline: float) -> Server:
        """Give a server of the version that answers, started where there is none."""
        folder = self._setup.folder(bundle)
        known = next((server for server in state.servers() if server.model_sha256 == bundle.model_sha256), None)
        if known is not None and servers.process_of(known) is None:
            state.forget(known)
            known = None
        if known is None and digest_of(folder) != bundle.model_sha256:
            raise TargetRefused(self.name, f"the files of version {bundle.version} are not those that were registered")
        server = known or servers.start(bundle, folder, state.log)
        state.remember(server)
        try:
            servers.try_out(server, folder, deadline, state.log)
        except TargetRefused:
            servers.stop(server)
            state.forget(server)
            raise
        return server


def _stop_all_but(state: State, kept: set[str]) -> None:
    for server in state.servers():
        if server.model_sha256 not in kept:
            servers.stop(server)
            state.forget(server)
