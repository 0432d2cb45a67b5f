"""`understudy doctor` finds what is missing and names the way out."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from tests.unit.cli.due_look import DUE
from understudy.cli.app import app
from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import ModelStatus, WorkerStatus
from understudy.contract.words import Change, Confinement, EntryKind, Role
from understudy.hooks.connect import Hooks
from understudy.hooks.places.gateways import Gateways
from understudy.settings import settings

SPEC = """\
model: prices
owner: team
task: binary_classification
data: {source: data/prices.csv, time: at, target: up}
gates: [{metric: roc_auc, floor: 0.6}]
stages: {train: {image: "team/never-built:1"}}
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "models" / "prices").mkdir(parents=True)
    (tmp_path / "models" / "prices" / "model.yaml").write_text(SPEC, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    yield tmp_path
    settings.cache_clear()


def findings() -> dict[str, list[dict[str, str]]]:
    settings.cache_clear()
    answer = CliRunner().invoke(app, ["doctor", "--json"])
    told: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(answer.stdout):
        told.setdefault(finding["about"], []).append(finding)
    return told


@pytest.mark.docker
def test_an_image_that_only_one_model_names_is_looked_for(models: Path) -> None:
    images = {finding["found"]: finding["severity"] for finding in findings()["image"]}
    assert images["the image team/never-built:1 of prices is missing"] == "broken"


def test_a_dead_engine_is_broken_only_where_it_must_answer(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert findings()["docker"][0]["severity"] == "note"
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "docker")
    (docker,) = findings()["docker"]
    assert docker["severity"] == "broken"
    assert "Start Docker" in docker["way_out"]


def test_the_engine_of_a_connection_is_not_mistaken_for_the_local_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DOCKER_CONN_ID", "far")
    assert "'far'" in findings()["docker"][0]["found"]


def serve(models: Path) -> None:
    (models / "models" / "prices" / "model.yaml").write_text(SPEC + "serving: {}\n", encoding="utf-8")


def test_a_batch_model_needs_no_gateway_and_a_served_one_does(models: Path) -> None:
    assert findings()["gateway"][0]["found"] == "not needed: no declared model is served"
    serve(models)
    (gateway,) = findings()["gateway"]
    assert (gateway["severity"], gateway["found"]) == ("note", "no gateway runs, so nobody can ask prices")


def test_a_gateway_without_a_token_or_an_answer_is_broken(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", "http://127.0.0.1:1")
    assert "no token" in findings()["gateway"][0]["found"]
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", "secret")
    (gateway,) = findings()["gateway"]
    assert gateway["severity"] == "broken"
    assert "http://127.0.0.1:1 does not answer as a gateway does" in gateway["found"]


def promote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", "http://127.0.0.1:1")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", "secret")
    settings.cache_clear()
    bundle = Bundle(
        model="prices", version=4, model_sha256="d", image_digest="i", code_commit="c", spec_sha256="s",
        data_version="v", run="r", reference_data="v",
    )  # fmt: skip
    record = Deployment(model="prices", epoch=1, change=Change.PROMOTION, champion=bundle, previous=None)
    Hooks(settings()).deployments.deploy(record, 0, By(actor="me", reason="because"))


def test_a_gateway_that_lags_behind_the_ledger_is_named_with_both_epochs(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(models)
    promote(monkeypatch)
    status = ModelStatus(gateway="left", model="prices", epoch=0, version=None, workers=())
    monkeypatch.setattr(Gateways, "status", lambda *_: (status,))
    (gateway,) = findings()["gateway"]
    assert gateway["severity"] == "broken"
    assert gateway["found"] == "left serves epoch 0 of prices, the ledger says 1"
    monkeypatch.setattr(Gateways, "status", lambda *_: (status.model_copy(update={"epoch": 1, "version": 4}),))
    (gateway,) = findings()["gateway"]
    assert (gateway["severity"], gateway["found"]) == ("fine", "left serves version 4 of prices; warm processes: 0")


def scored_without(monkeypatch: pytest.MonkeyPatch, *not_held: Confinement) -> None:
    """Let the gateway's only process be one that is not held to these."""
    process = WorkerStatus(
        version=4, role=Role.CHAMPION, pid=7, is_ready=True, restarts=0, rss_bytes=1, queued=0, not_held=not_held
    )
    status = ModelStatus(gateway="left", model="prices", epoch=1, version=4, workers=(process,))
    monkeypatch.setattr(Gateways, "status", lambda *_: (status,))


def test_a_process_that_its_machine_cannot_hold_is_told_by_doctor_and_status(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(models)
    promote(monkeypatch)
    scored_without(monkeypatch, Confinement.MEMORY, Confinement.NO_NETWORK)
    told = "version 4 (champion) is scored by a process that is not held to: a memory limit, no network"
    served, free = findings()["gateway"]
    assert served["severity"] == "fine"
    assert (free["severity"], free["found"]) == ("note", f"left, prices: {told}")
    assert "AIRFLOW__UNDERSTUDY__GATEWAY_ISOLATION=docker" in free["way_out"]
    assert "on Linux" in free["way_out"]
    (shown,) = json.loads(CliRunner().invoke(app, ["status", "prices", "--json"]).stdout)
    assert shown["replicas"][0]["unconfined"] == [told]
    assert "not held to: a memory limit" in " ".join(CliRunner().invoke(app, ["status", "prices"]).stdout.split())


def test_a_gateway_that_stays_root_is_told_to_run_as_somebody_else(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(models)
    promote(monkeypatch)
    scored_without(monkeypatch, Confinement.NO_ROOT)
    assert findings()["gateway"][1]["way_out"].startswith("Run the gateway as a user other than root")


def test_a_folder_of_declarations_that_is_not_there_is_said(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(models / "nowhere"))
    (finding,) = findings()["models"]
    assert (finding["severity"], "not a folder" in finding["found"]) == ("note", True)
    assert "understudy init" in finding["way_out"]


def test_a_retraining_that_nobody_began_is_broken(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__RETRAIN_WITHIN", "0s")
    settings.cache_clear()
    assert "retraining" not in findings()
    look = json.loads(DUE)
    Hooks(settings()).ledger.append("prices", EntryKind.MONITORED, "scheduled", "wind moved", "look1", look)
    (finding,) = findings()["retraining"]
    assert finding["severity"] == "broken"
    assert "is the DAG retrain__prices paused or broken?" in finding["found"]
    assert "understudy retrain prices" in finding["way_out"]
    answer = CliRunner().invoke(app, ["doctor"])
    assert answer.exit_code == 1


def test_status_shows_the_last_look(models: Path) -> None:
    settings.cache_clear()
    Hooks(settings()).ledger.append("prices", EntryKind.MONITORED, "scheduled", "wind moved", "look1", json.loads(DUE))
    (told,) = json.loads(CliRunner().invoke(app, ["status", "prices", "--json"]).stdout)
    assert (told["last_look"]["is_due"], told["last_look"]["sentence"]) == (True, "wind moved")
    assert told["last_look"]["trouble"] == []
    assert "wind moved" in CliRunner().invoke(app, ["status", "prices"]).stdout


@pytest.mark.parametrize("ill", [None, "scheduler", "dag_processor"])
def test_the_airflow_that_commands_talk_to_is_asked_and_no_embedded_one_is_missed(
    models: Path, monkeypatch: pytest.MonkeyPatch, ill: str | None
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            told = {part: {"status": "unhealthy" if part == ill else "healthy"} for part in parts}
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_URL", url)
        found = findings()
        server.shutdown()
    (airflow,) = found["airflow"]
    assert "ports" not in found
    assert airflow["severity"] == ("fine" if ill is None else "broken")
    assert airflow["found"].startswith(f"{url} answers, ")
    assert ill is None or ill.replace("_", " ") in airflow["found"]


def test_an_airflow_that_does_not_answer_is_broken(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__AIRFLOW_URL", "http://127.0.0.1:1")
    (airflow,) = findings()["airflow"]
    assert airflow["severity"] == "broken"
    assert "make up" not in airflow["way_out"]


def test_nobody_who_would_be_told_is_said_plainly(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alerts,) = findings()["alerts"]
    assert (alerts["severity"], alerts["found"]) == ("note", "nobody is told anything")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ALERTS_TO", "pager,mail")
    (alerts,) = findings()["alerts"]
    assert (alerts["severity"], alerts["found"]) == ("fine", "go to mail, pager")
    quiet = SPEC.replace("model: prices", "model: quiet") + "alerts: {to: []}\n"
    (models / "models" / "quiet").mkdir()
    (models / "models" / "quiet" / "model.yaml").write_text(quiet, encoding="utf-8")
    (alerts,) = findings()["alerts"]
    assert (alerts["severity"], alerts["found"]) == ("note", "nobody is told anything about quiet")
