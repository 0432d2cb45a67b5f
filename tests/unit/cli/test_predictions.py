import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.labels import Label
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.settings import settings

BUNDLE = Bundle(
    model="price",
    version=3,
    model_sha256="a",
    image_digest="b",
    code_commit="c",
    spec_sha256="d",
    data_version="e",
    run="r",
    reference_data="e",
)
AGES_AGO_NS = 40 * 86_400 * 10**9


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def log(home: Path) -> Path:
    folder = home / "gateway" / "log" / "price"

    async def write() -> None:
        kept = PredictionLog(folder, pii=(), strict=False, keep_s=1e9, max_bytes=1 << 30)
        now, item = time.time_ns(), Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
        for number, at in enumerate([now - AGES_AGO_NS, now, now + 1, now + 2]):
            answer = Answer(200, b"", 1, b'{"predictions":[%d],"probabilities":null}' % number, 1, 1)
            kept.append(LogRow(f"r{number}", None, at, 1, Role.CHAMPION, BUNDLE, item, answer, None, 1, 1))
        kept.append(LogRow("r3", None, now + 2, 1, Role.SHADOW, BUNDLE, item, None, MirrorLoss.QUEUE_FULL, 1, 1))
        await kept.append_labels([Label("r2", None, 0, 7, now)])
        await kept.close()

    asyncio.run(write())
    return folder


def ask(*arguments: str, **environment: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["predictions", *arguments], env=environment)
    return result.exit_code, result.output


def test_the_newest_predictions_are_shown_with_their_labels(log: Path) -> None:
    code, said = ask("show", "price")
    assert code == 0
    assert [name for name in ("r0", "r1", "r2", "r3") if name in said] == ["r1", "r2", "r3"]
    assert "queue_full" in said
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC +r1 ", said)
    code, said = ask("show", "price", "--since", "60d", "--last", "2", "--json")
    found = json.loads(said)
    assert [(row["request_id"], row["role"]) for row in found["rows"]] == [("r3", "champion"), ("r3", "shadow")]
    assert (found["lost"], found["damaged"]) == (0, 0)
    code, said = ask("show", "price", "--since", "60d", "--json")
    assert [row["label"] for row in json.loads(said)["rows"]] == [None, None, 7, None, None]
    assert json.loads(said)["rows"][0]["x_x"] == 1.5


def test_a_time_to_start_from_can_be_a_time_or_how_long_ago(log: Path) -> None:
    assert json.loads(ask("show", "price", "--since", "2999-01-01", "--json")[1])["rows"] == []
    assert "No predictions of price since" in ask("show", "price", "--since", "2999-01-01")[1]
    code, said = ask("show", "price", "--since", "yesterday")
    assert code == 1
    assert "is not a time" in said


def test_compacting_is_told_in_numbers_and_again_is_harmless(log: Path) -> None:
    code, said = ask("compact", "price", "--json")
    assert (code, json.loads(said)["price"]["rows"]) == (0, 5)
    code, said = ask("compact")
    assert (code, said.strip()) == (0, "price: nothing to compact.")
    assert len(json.loads(ask("show", "price", "--since", "60d", "--json")[1])["rows"]) == 5


def test_nothing_that_was_asked_or_answered_is_cut_off_on_a_narrow_terminal(log: Path) -> None:
    code, said = ask("show", "price", COLUMNS="60")
    assert code == 0
    assert "…" not in said


@pytest.mark.parametrize("arguments", [["show", "nope"], ["compact", "nope"], ["show", ".."], ["show", "a/b"]])
def test_a_model_that_was_never_logged_is_said_with_a_way_out(log: Path, arguments: list[str]) -> None:
    code, said = ask(*arguments)
    assert code == 1
    assert "holds no predictions of" in said
    assert "on its machine" in said


def test_without_a_gateway_there_is_nothing_to_compact_and_nothing_to_find(home: Path) -> None:
    assert ask("compact") == (0, "This machine's gateway has logged nothing yet.\n")
    code, said = ask("reproduce", "r1")
    assert code == 1
    assert "X-Understudy-Request-Id" in said


def test_a_prediction_without_an_answer_is_not_found_for_the_caller(log: Path) -> None:
    code, said = ask("reproduce", "nope")
    assert code == 1
    assert "No prediction 'nope'" in said


def test_labels_are_counted_by_what_became_of_them(log: Path) -> None:
    code, said = ask("labels", "price", "--json")
    counts = {"given": 1, "matched": 1, "duplicate": 0, "contradictory": 0, "late": 0, "unmatched": 0}
    assert (code, json.loads(said)) == (0, {"price": counts})
    code, said = ask("labels")
    assert code == 0
    assert [line.split() for line in said.splitlines()] == [["model", *counts], ["price", "1", "1", *"0000"]]
    assert ask("labels", "nothing")[0] != 0
