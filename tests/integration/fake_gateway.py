"""A small HTTP server that keeps the gateway's admin contract, and fails in all the ways that a test asks for."""

import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass, GlassAcknowledgement
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.declared import Fact
from understudy.contract.live.canary_report import CanaryQuery, CanaryReport
from understudy.contract.serving import (
    Acknowledgement,
    LossBlock,
    ModelStatus,
    PrepareOrder,
    Problem,
    RehearsalQuery,
    RehearsalReport,
    ServingOrder,
    Tally,
    TruthReport,
    Unreported,
)

TOKEN = SecretStr("open-sesame")


@dataclass
class FakeGateway:
    """Its knobs, what it serves, and what it was asked."""

    name: str
    url: str = ""
    is_down: bool = False
    """Requests are hung up on."""
    comes_back_after: int | None = None
    """With ``is_down``: how many requests to hang up on."""
    status: int | None = None
    """Answer orders with this status."""
    refuses: dict[int, str] = field(default_factory=dict)
    """Versions that it cannot load, and why."""
    answers_as: int | None = None
    """Answer probes as another version."""
    lacks: set[int] = field(default_factory=set)
    hangs: threading.Event | None = None
    """Orders wait for it."""
    orders: dict[str, ServingOrder] = field(default_factory=dict)
    prepared: list[int] = field(default_factory=list)
    uploads: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    probes: list[tuple[str, bytes]] = field(default_factory=list)
    truths: list[TruthReport] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    report: RehearsalReport | None = None
    canary: Callable[[CanaryQuery], CanaryReport] | None = None
    """What it says of a canary."""
    broken: dict[str, BrokenGlass] = field(default_factory=dict)
    """What was taken back by break-glass, by model; it answers nobody again."""
    unreported: list[BrokenGlass] = field(default_factory=list)
    lapses: list[CanaryLapse] = field(default_factory=list)
    """Canaries that ended there by themselves and that it was not told the ledger knows of."""

    def version(self, model: str) -> int | None:
        order = self.orders.get(model)
        if order is None:
            return None
        glass = self.broken.get(model)
        champion = order.record.champion
        return glass.target.version if glass and glass.taken_back == champion else champion.version

    def epoch(self, model: str) -> int:
        order = self.orders.get(model)
        return order.record.epoch if order else 0

    def tally(self, query: RehearsalQuery, rows: int = 10) -> RehearsalReport:
        tally = Tally(requests=rows, score_ms=(rows, 0))
        return RehearsalReport(
            model="demand",
            champion_version=query.champion_version,
            mirror_version=query.mirror_version,
            gateways=(self.name,),
            since=query.since,
            until=query.since,
            champion=tally,
            mirror=tally,
            pairs=rows,
            rows=rows,
            agreeing_rows=rows,
            blocks=(LossBlock(start=query.since, rows=rows, champion_loss=1.0, mirror_loss=0.5),),
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: FakeGateway

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self._handle(b"")

    def do_PUT(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_POST = do_PUT

    def _handle(self, body: bytes) -> None:
        self.close_connection = True
        gateway = self.gateway
        gateway.asked.append(f"{self.command} {self.path}")
        if gateway.is_down:
            if gateway.comes_back_after is not None:
                gateway.comes_back_after -= 1
                gateway.is_down = gateway.comes_back_after > 0
            return
        if self.path == "/health":
            self._send(200, None)
        elif self.path.endswith("/labels"):
            gateway.labels += json.loads(body)["labels"]
            self._send(200, None)
        elif self.path.startswith("/models/"):
            self._answer_probe(body)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN.get_secret_value()}":
            self._send(401, Problem(problem="wrong token"))
        elif self.path == "/admin/truth":
            gateway.truths.append(TruthReport.model_validate_json(body))
            self._send(200, Unreported(broken=tuple(gateway.unreported), lapsed=tuple(gateway.lapses)))
        else:
            _, _, _, model, *rest = self.path.split("/")
            self._answer_admin(model, rest, body)

    def _answer_admin(self, model: str, rest: list[str], body: bytes) -> None:
        gateway = self.gateway
        if not rest:
            version, epoch = gateway.version(model), gateway.epoch(model)
            broken = next((glass for glass in gateway.unreported if glass.model == model), None)
            self._send(
                200,
                ModelStatus(
                    gateway=gateway.name, model=model, epoch=epoch, version=version, workers=(), broken_glass=broken
                ),
            )
        elif rest[0] == "prepare":
            order = PrepareOrder.model_validate_json(body)
            if not self._is_hindered([order.bundle.version]):
                gateway.prepared.append(order.bundle.version)
                self._send(204, None)
        elif rest == ["break-glass"]:
            self._break_glass(model, BreakGlassOrder.model_validate_json(body))
        elif rest[-1] == "reported":
            self._take_note(rest[0], body)
        elif rest[0] == "record":
            self._serve(model, ServingOrder.model_validate_json(body))
        elif rest[0] == "files":
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                gateway.uploads[int(rest[1])] = (str(self.headers["X-Artefact-Sha256"]), tar.getnames())
            gateway.lacks.discard(int(rest[1]))
            self._send(204, None)
        elif rest[0] == "rehearsal":
            self._send(200, gateway.report or gateway.tally(RehearsalQuery.model_validate_json(body)))
        elif rest[0] == "canary":
            assert gateway.canary is not None
            self._send(200, gateway.canary(CanaryQuery.model_validate_json(body)))

    def _take_note(self, of: str, body: bytes) -> None:
        if of == "canary":
            self.gateway.lapses.remove(CanaryLapse.model_validate_json(body))
        else:
            self.gateway.unreported.remove(BrokenGlass.model_validate_json(body))
        self._send(200, None)

    def _serve(self, model: str, order: ServingOrder) -> None:
        gateway, record = self.gateway, order.record
        if gateway.hangs is not None:
            gateway.hangs.wait(60)
        named = (record.champion, record.previous, record.mirror, record.canary)
        bundles = [bundle for bundle in named if bundle]
        if self._is_hindered([bundle.version for bundle in bundles]):
            return
        if gateway.epoch(model) > record.epoch:
            self._send(409, Problem(problem=f"epoch {gateway.epoch(model)} is served here"))
            return
        glass = gateway.broken.get(model)
        if glass is not None and glass.taken_back == record.champion:
            self._send(409, Problem(problem=f"version {record.champion.version} was taken back here"))
            return
        gateway.orders[model] = order
        ack = Acknowledgement(
            gateway=gateway.name, model=model, epoch=record.epoch, version=record.champion.version, flip_ms=1.5
        )
        self._send(200, ack)

    def _break_glass(self, model: str, order: BreakGlassOrder) -> None:
        gateway, served = self.gateway, self.gateway.orders[model].record
        glass, is_repeated = gateway.broken.get(model), model in gateway.broken
        if glass is None and served.previous is None:
            self._send(422, Problem(problem="nothing is warm"))
            return
        if glass is None:
            assert served.previous is not None
            glass = BrokenGlass(
                model=model,
                gateway=gateway.name,
                at=datetime.now(timezone.utc),
                actor=order.actor,
                reason=order.reason,
                epoch=served.epoch,
                taken_back=served.champion,
                target=served.previous,
            )
            gateway.broken[model] = glass
            gateway.unreported.append(glass)
        self._send(200, GlassAcknowledgement(glass=glass, is_repeated=is_repeated, flip_ms=1.5))

    def _is_hindered(self, versions: list[int]) -> bool:
        for version in versions:
            if self.gateway.status is not None:
                self._send(self.gateway.status, Problem(problem="not now"))
                return True
            if version in self.gateway.refuses:
                self._send(422, Problem(problem=self.gateway.refuses[version]))
                return True
            if version in self.gateway.lacks:
                self._send(424, Problem(problem=f"no files of version {version}", missing=version))
                return True
        return False

    def _answer_probe(self, body: bytes) -> None:
        gateway = self.gateway
        model = self.path.split("/")[2]
        assert self.headers["X-Understudy-Probe"] == TOKEN.get_secret_value()
        gateway.probes.append((self.path, body))
        version = gateway.answers_as or gateway.version(model)
        headers = {"X-Understudy-Version": str(version), "X-Understudy-Epoch": str(gateway.epoch(model))}
        self._send(200, None, headers)

    def _send(self, status: int, fact: Fact | None, headers: dict[str, str] | None = None) -> None:
        body = b"" if fact is None else fact.model_dump_json().encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        try:
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            return  # who asked has given up, as a test wanted


@contextmanager
def running(*names: str) -> Iterator[tuple[FakeGateway, ...]]:
    """Start gateways; stop them at the end."""
    servers: list[ThreadingHTTPServer] = []
    gateways: list[FakeGateway] = []
    for name in names:
        gateway = FakeGateway(name)
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gateway": gateway}))
        server.daemon_threads = True
        gateway.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
        gateways.append(gateway)
    try:
        yield tuple(gateways)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
