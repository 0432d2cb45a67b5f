"""Start the servers that are compared, each as a program of its own, and count what they cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
from pydantic import SecretStr

from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ServingOrder, ServingTerms
from understudy.contract.words import Change, MlTask

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "benchmark"
READY_WITHIN_S = 180.0
FLOOR = """
import json
BODY = b'{"predictions": [0]}'
HEAD = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})
"""


class Cost(NamedTuple):
    """Sum what a process tree has used."""

    cpu_s: float
    memory_bytes: int


class Server(NamedTuple):
    """Name a running server and where it scores."""

    name: str
    port: int
    path: str
    process: psutil.Process

    def cost(self) -> Cost:
        """Measure the whole tree; memory is the proportional set size, so that shared pages count once."""
        cpu, memory = 0.0, 0
        for member in [self.process, *self.process.children(recursive=True)]:
            try:
                times, sizes = member.cpu_times(), member.memory_full_info()
            except psutil.NoSuchProcess:
                continue  # ended in between
            cpu += times.user + times.system
            memory += sizes.pss
        return Cost(cpu, memory)


def free_port() -> int:
    """Find a port that nobody uses."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def started(name: str, command: Sequence[str], port: int, path: str, *, health: str, log: Path) -> Iterator[Server]:
    """Run a server until the block ends; it is ready when ``health`` answers with success."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "plugins"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    with log.open("ab") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
    tree = psutil.Process(process.pid)
    try:
        _await(f"http://127.0.0.1:{port}{health}", process, log)
        yield Server(name, port, path, tree)
    finally:
        members = [*tree.children(recursive=True), tree] if process.poll() is None else []
        for member in members:
            member.terminate()
        for member in psutil.wait_procs(members, timeout=10)[1]:
            member.kill()
        process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended: {log.read_text(errors='replace')[-800:]}")
        try:
            if httpx.get(url, trust_env=False, timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer in time: {log.read_text(errors='replace')[-800:]}")


def mlflow_server(folder: Path, workers: int, scratch: Path, stack: ExitStack) -> Server:
    """Start ``mlflow models serve``."""
    port = free_port()
    command = ["mlflow", "models", "serve", "-m", str(folder), "-p", str(port), "-w", str(workers), "--env-manager"]
    name = f"mlflow models serve, {workers} worker{'s' if workers > 1 else ''}"
    server = started(name, [*command, "local"], port, "/invocations", health="/ping", log=scratch / "mlflow.log")
    return stack.enter_context(server)


def floor_server(scratch: Path, stack: ExitStack) -> Server:
    """Start a bare uvicorn with a fixed answer."""
    port = free_port()
    (scratch / "floor.py").write_text(FLOOR, encoding="utf-8")
    command = [sys.executable, "-m", "uvicorn", "floor:app", "--app-dir", str(scratch), "--port", str(port)]
    command += ["--log-level", "error", "--no-access-log"]
    server = started("bare uvicorn, fixed answer", command, port, "/", health="/", log=scratch / "floor.log")
    return stack.enter_context(server)


class Gateway(NamedTuple):
    """Steer a gateway of our own."""

    server: Server
    admin: httpx.Client

    @property
    def url(self) -> str:
        """Give the base URL."""
        return f"http://127.0.0.1:{self.server.port}"

    def serve(self, champion: Bundle, epoch: int, *, previous: Bundle | None = None, mirror: Bundle | None = None,
              spec: ServingSpec | None = None, change: Change = Change.PROMOTION) -> dict[str, object]:  # fmt: skip
        """Order a record and return the acknowledgement."""
        order = ServingOrder(
            record=Deployment(
                model=champion.model,
                epoch=epoch,
                change=change,
                champion=champion,
                previous=previous,
                mirror=mirror,
                mirror_share=1.0 if mirror else 0.0,
            ),
            terms=ServingTerms(task=MlTask.BINARY, serving=spec or ServingSpec()),
        )
        answer = self.admin.put(
            f"{self.url}/admin/models/{champion.model}/record",
            content=order.model_dump_json(),
            headers={"Content-Type": "application/json"},
        )
        if answer.status_code != 200:
            raise RuntimeError(f"the gateway answered {answer.status_code}: {answer.text}")
        acknowledged: dict[str, object] = answer.json()
        return acknowledged

    def status(self, model: str = "bench") -> dict[str, object]:
        """Ask for a model's state."""
        answer = self.admin.get(f"{self.url}/admin/models/{model}")
        told: dict[str, object] = answer.json()
        return told


def gateway_server(name: str, bundles: Path, scratch: Path, stack: ExitStack, *, logs: bool = True) -> Gateway:
    """Start our gateway on the bundles of a folder.

    :param logs: whether it keeps predictions; it has no such option, so its log is taken away from it.
    """
    from understudy.gateway.config import GatewayConfig

    port = free_port()
    state = scratch / f"gateway-{port}"
    config = GatewayConfig(
        name=name, host="127.0.0.1", port=port, state_dir=state, bundles_dir=bundles, token=SecretStr(TOKEN)
    )
    told = {**config.model_dump(mode="json"), "token": TOKEN}
    program = (
        "import sys; from pydantic import SecretStr; from understudy.gateway.config import GatewayConfig; "
        "from understudy.gateway.serve import serve; "
        "from understudy.gateway.log.prediction_log import PredictionLog; "
        f"{'' if logs else 'PredictionLog.append = lambda *_: None; '}"
        "serve(GatewayConfig.model_validate_json(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, json.dumps(told)]
    path = "/models/bench/invocations"
    server = started(name, command, port, path, health="/v2/health/live", log=scratch / "gateway.log")
    # One client for all orders: making one takes 40 ms, most of it for certificates that nobody needs here.
    admin = httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120, trust_env=False)
    return Gateway(stack.enter_context(server), stack.enter_context(admin))
