"""``understudy rollback`` and ``understudy status`` where gateways serve."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.integration.fake_gateway import TOKEN, running
from tests.integration.gateway_desk import Desk
from understudy.cli.app import app
from understudy.contract.by import By
from understudy.contract.words import Change
from understudy.settings import settings

MODEL = "demand"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    spec = {
        "model": MODEL,
        "owner": "market-ml",
        "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
        "serving": {},
    }
    path = tmp_path / "models" / MODEL / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    with running("east", "west") as gateways:
        monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", ",".join(gateway.url for gateway in gateways))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        settings.cache_clear()
        made = Desk(MODEL, tmp_path, tmp_path / "ledger.db", gateways)
        made.raise_champion(1)
        made.raise_champion(2)
        yield made
    settings.cache_clear()


def typed(*words: str, expect: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == expect, result.output
    return result.output


def facts(*words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_rollback_says_who_acknowledged(desk: Desk) -> None:
    told = typed("rollback", MODEL, "--reason", "complaints")
    assert "Version 1 of demand is champion again (epoch 3). Version 2 was taken back" in told
    assert "east: acknowledged in 1.5 ms" in told
    assert "west: acknowledged in 1.5 ms" in told
    assert desk.served() == [(1, 3), (1, 3)]


def test_a_rollback_as_json_keeps_the_record_in_place(desk: Desk) -> None:
    told = facts("rollback", MODEL, "--reason", "complaints")
    assert (told["change"], told["champion"]["version"], told["lagging"]) == ("rollback", 1, [])
    assert [ack["gateway"] for ack in told["acks"]] == ["east", "west"]


def test_a_rollback_with_a_lagging_gateway_is_told_and_fails(desk: Desk) -> None:
    desk.west.status = 422
    told = typed("rollback", MODEL, "--reason", "complaints", expect=1)
    assert "east: acknowledged in" in told
    assert f"{desk.west.url}: lags (not now)" in told
    assert desk.served() == [(1, 3), (2, 2)]


def test_a_rollback_needs_no_readable_declaration(desk: Desk) -> None:
    (desk.home / "models" / MODEL / "model.yaml").write_text("model: [", encoding="utf-8")
    typed("rollback", MODEL, "--reason", "complaints")
    assert desk.served() == [(1, 3), (1, 3)]


def test_status_shows_every_replica(desk: Desk) -> None:
    desk.rehearse(desk.train(3))
    desk.west.orders.clear()
    told = typed("status", MODEL)
    assert f"served at east ({desk.east.url}): version 2, epoch 3\n" in told
    assert f"served at west ({desk.west.url}): serves nothing yet\n" in told
    assert "mirror    version 3 answers the same requests unseen" in told
    assert told.count("before    version") == 1
    (status,) = facts("status", MODEL)
    assert [(replica["epoch"], replica["lag"]) for replica in status["replicas"]] == [(3, 0), (0, 3)]
    assert (status["mirror"], [served["version"] for served in status["history"]]) == (3, [1, 2])


def test_status_shows_who_lags_and_who_is_gone(desk: Desk) -> None:
    desk.west.is_down = True
    served = desk.deployments.current(MODEL)
    assert served is not None
    newer = served.model_copy(update={"epoch": 3, "change": Change.MIRROR_ENDED})
    desk.deployments.deploy(newer, 2, By(actor="ann", reason="nobody told the gateways"))
    told = typed("status", MODEL)
    assert f"served at east ({desk.east.url}): version 2, epoch 2, 1 behind\n" in told
    assert f"served at {desk.west.url}: Gateway {desk.west.url} cannot be used" in told
