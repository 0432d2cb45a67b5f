"""An engine on another machine, behind mutual TLS: nothing but the API between us and it, and nothing is different."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.e2e.engine_door import engine_socket
from understudy.contract.stage import StageRequest, StageResult, artefact_of
from understudy.contract.words import JobState
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import Tls, named_client
from understudy.runners.errors import EngineUnreachable
from understudy.runners.protocol import Job, Resources
from understudy.settings import settings

pytestmark = pytest.mark.docker

SECRET = "the database's password"
CODE = """
import hashlib, sys
from understudy.stages import StageOutput, stage


@stage
def measure(context):
    print("measuring", flush=True)
    data = (context.inputs["rows.csv"]).read_bytes()
    copy = context.outputs / "copy.csv"
    copy.write_bytes(data)
    secret = hashlib.sha256(context.secrets["password"].encode()).hexdigest()
    return StageOutput(report={"bytes": len(data), "secret": secret}, outputs={"copy": copy})
"""


def made_by_openssl(folder: Path) -> dict[str, str]:
    """Make an authority, a server's certificate for 127.0.0.1 and a client's."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes", "-keyout")
    # From 3.13 on Python asks what RFC 5280 asks: that an authority says what it is for, and who is signed, by whom.
    signs = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *key, "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority", *signs)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n", encoding="utf-8")
    for name in ("server", "client"):
        openssl("req", *key, f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed_by)
    return {path.name: str(path) for path in folder.iterdir()}


def pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has gone


class TlsDoor(threading.Thread):
    """Stand between TLS clients and the local engine's socket, as dockerd's own TLS port would."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.secured.load_cert_chain(files["server.pem"], files["server.key"])
        self.secured.load_verify_locations(files["ca.pem"])
        self.secured.verify_mode = ssl.CERT_REQUIRED
        self.engine = engine_socket()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.turned_away = threading.Event()

    def run(self) -> None:
        while True:
            try:
                caller, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        try:
            inside = self.secured.wrap_socket(caller, server_side=True)
            inside.do_handshake()
        except (ssl.SSLError, OSError):
            self.turned_away.set()
            caller.close()
            return
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self.engine)
        back = threading.Thread(target=pour, args=(engine, inside), daemon=True)
        back.start()
        pour(inside, engine)
        back.join()
        inside.close()
        engine.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return made_by_openssl(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def door(files: dict[str, str]) -> Iterator[TlsDoor]:
    door = TlsDoor(files)
    door.start()
    yield door
    door.listening.close()


def asked(workspace: Path) -> Job:
    for name, text in (("code/probe.py", CODE), ("rows.csv", "a,b\n" * 50_000)):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text, encoding="utf-8")
    inputs = {"code": workspace / "code", "rows.csv": workspace / "rows.csv"}
    request = StageRequest(
        stage="probe:measure", model="far", run="r", as_of=datetime(2026, 3, 1, tzinfo=timezone.utc),
        inputs={name: artefact_of(path, workspace) for name, path in inputs.items()},
    )  # fmt: skip
    resources = Resources(memory_bytes=256 << 20, cpus=1.0, timeout=timedelta(minutes=2))
    return Job(name=f"understudy-far-{os.getpid()}", request=request, image=settings().image, inputs=inputs,
               outputs=workspace / "out", resources=resources, labels={"task_id": "t"})  # fmt: skip


@pytest.fixture(autouse=True)
def another_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set what companies set for their own proxies; the engine's authority must win over it."""
    (tmp_path / "company.pem").write_text("", encoding="utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "company.pem"))


def test_a_stage_runs_behind_mutual_tls_with_files_secrets_and_logs(
    door: TlsDoor, files: dict[str, str], tmp_path: Path
) -> None:
    tls = Tls(ca=files["ca.pem"], certificate=files["client.pem"], key=files["client.key"])
    where = f"tcp://127.0.0.1:{door.port}"
    runner = DockerRunner(deployment="far", workspace=tmp_path, open_client=named_client(where, tls))
    job = asked(tmp_path)
    job_id = runner.submit(job, {"password": SecretStr(SECRET)})
    try:
        assert [line.text for line in runner.stream_logs(job_id)] == ["measuring"]
        assert runner.status(job_id).state is JobState.DONE
        result = StageResult.model_validate_json(runner.result(job_id, job.outputs))
    finally:
        runner.kill(job_id)
    assert result.report == {"bytes": 200_000, "secret": hashlib.sha256(SECRET.encode()).hexdigest()}
    assert artefact_of(job.outputs / "copy.csv", job.outputs).sha256 == job.request.inputs["rows.csv"].sha256
    assert json.loads(job_id)
    assert runner.find(job.name) is None
    runner.client.close()


def test_without_the_clients_certificate_the_engine_is_out_of_reach(
    door: TlsDoor, files: dict[str, str], tmp_path: Path
) -> None:
    stranger = named_client(f"tcp://127.0.0.1:{door.port}", Tls(ca=files["ca.pem"]))
    runner = DockerRunner(deployment="far", workspace=tmp_path, open_client=stranger)
    with pytest.raises(EngineUnreachable):
        runner.find("understudy-far")
    assert door.turned_away.wait(timeout=30), "TLS 1.3 lets the client finish before the door has judged it"
