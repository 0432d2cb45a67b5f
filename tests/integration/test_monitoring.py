"""Looks at a batch model as Airflow runs them, from the quiet months to the day on which the wind turns."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.conftest import Run, Site, hourly
from understudy.contract.cards.text import markdown
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, Trigger, Verdict, Watched
from understudy.hooks.cards import card
from understudy.stages.model.model_files import load_model

MODEL = "breeze"
MONITOR: dict[str, Any] = {"of": "data", "window": "7d", "looks": 1, "min_rows": 100}
# Quality is lost on the same day; here the drift alone has to ask.
RETRAIN = {"retries": 0, "quality": False}
TRAINED = "2024-04-10T00:00:00Z"
QUIET = "2024-04-18T00:00:00Z"
TURNS = pd.Timestamp("2024-04-20")
WINDY = "2024-04-28T00:00:00Z"
LATER = "2024-04-27T00:00:00Z"


def weather(*, turns: bool) -> pd.DataFrame:
    frame = hourly()
    later = pd.to_datetime(frame["at"]) >= TURNS
    return frame.assign(wind=frame["wind"].where(~(later & turns), frame["wind"] + 3)) if turns else frame


@pytest.fixture(scope="module")
def watched(site: Site) -> Site:
    site.declare(MODEL, monitor=MONITOR, retrain=RETRAIN)
    site.deliver(MODEL, weather(turns=True))
    assert site.retrain(MODEL, as_of=TRAINED).outcome == "promoted"
    return site


@pytest.fixture(autouse=True)
def repaired(watched: Site) -> Iterator[None]:
    yield
    watched.declare(MODEL, monitor=MONITOR, retrain=RETRAIN)
    watched.deliver(MODEL, weather(turns=True))


def look(site: Site, as_of: str) -> tuple[Run, Look]:
    run = site.run(f"monitor__{MODEL}", "monitoring", {}, {"as_of": as_of})
    (entry,) = [e for e in site.hooks.ledger.entries(MODEL, [EntryKind.MONITORED]) if e.seq == newest(site)]
    return run, Look.model_validate(entry.facts)


def scored(site: Site, folder: Path) -> pd.DataFrame:
    """Score the hours since the training as a batch job does: with features, a key, and what turned out to be true."""
    current = site.hooks.deployments.current(MODEL)
    assert current is not None
    champion = load_model(site.hooks.registry.fetch(current.champion, folder / "fetched"), allow_pickle=False)
    rows = weather(turns=False)
    rows = rows[(rows["at"] >= TRAINED[:10]) & (rows["at"] < LATER[:10])]
    probability = champion.predict_proba(rows)
    assert probability is not None
    sure = probability[:, 1]
    told: dict[str, Any] = {"hour": rows["at"], "answer": (sure >= 0.5).astype(int), "sure": sure}
    by = f"{MODEL} {current.champion.version}"
    return rows.drop(columns="at").assign(**told, by=by, order_id=[f"o-{n}" for n in range(len(rows))])


def fill(database: Path, **tables: pd.DataFrame) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for name, rows in tables.items():
            rows.to_sql(name, connection, if_exists="append", index=False)


def newest(site: Site) -> int:
    return max((entry.seq for entry in site.hooks.ledger.entries(MODEL, [EntryKind.MONITORED])), default=0)


def events() -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(
            select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetModel.uri == f"understudy://{MODEL}/retrain").order_by(AssetEvent.id)
        )  # fmt: skip
        return [dict(event.extra) for event in found]


def test_it_stays_quiet_and_then_asks_once(watched: Site) -> None:
    run, quiet = look(watched, QUIET)
    assert (run.state, quiet.is_due, quiet.decision.is_drifting) == ("success", False, False)
    assert events() == []

    run, windy = look(watched, WINDY)
    assert (run.state, windy.decision.reasons, windy.is_due) == ("success", (Trigger.DRIFT,), True)
    assert windy.report.drift is not None
    assert [column.column for column in windy.report.drift.columns] == ["wind"]
    (asked,) = events()
    assert (asked["reasons"], asked["ledger_seq"]) == (["drift"], newest(watched))
    assert pd.Timestamp(asked["as_of"]) == pd.Timestamp(WINDY)

    told = card(watched.hooks.ledger, newest(watched))
    assert (told.title, told.missing) == ("A look at champion 1 asks for a retraining", ())
    assert [(moved.gate, moved.verdict) for moved in told.data] == [("wind", Verdict.FAILED)]
    assert told.evidence[0].answers == windy.decision.judgement.results
    assert "| wind | " in markdown(told)

    run, again = look(watched, "2024-04-28T06:00:00Z")
    assert (run.state, again.is_due) == ("success", False)
    assert "cool-down" in str(again.decision.held_back)
    assert len(events()) == 1


def test_what_a_look_measured_is_in_mlflow(watched: Site) -> None:
    run, _ = look(watched, QUIET)
    hooks = watched.hooks
    current = hooks.deployments.current(MODEL)
    assert current is not None
    report = hooks.registry.fetch_file(current.champion, "looks/latest/look.json", watched.home / "look.json")
    assert '"new_labels": 192' in report.read_text(encoding="utf-8"), "eight days of hourly labels"
    assert run.tasks == {"window": "success", "drift": "success", "quality": "success", "decide": "success"}


@pytest.mark.parametrize(
    ("as_of", "change", "told"),
    [
        ("2026-01-01T00:00:00Z", {}, "holds no rows in the window"),
        (QUIET, {"drop": "wind"}, "wind"),
        (QUIET, {"drop": "up"}, "label"),
    ],
    ids=["empty window", "missing column", "no labels at all"],
)
def test_what_cannot_be_measured_asks_for_nothing(watched: Site, as_of: str, change: Any, told: str) -> None:
    frame = weather(turns=False)
    watched.deliver(MODEL, frame.drop(columns=change["drop"]) if change else frame)
    before = len(events())
    run, seen = look(watched, as_of)
    assert run.state == "success"
    assert (seen.decision.judgement.verdict in {Verdict.INCONCLUSIVE, Verdict.FAILED}, seen.is_due) == (True, False)
    assert told in seen.decision.sentence
    assert len(events()) == before


SCORED = {"time": "hour", "prediction": "answer", "probability": "sure", "version": "by"}
KEYED = {"source": "unused.csv", "time": "at", "target": "up", "key": ["order_id"], "label_delay": "10d"}


def test_a_batch_job_is_watched_by_its_tables(
    watched: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was scored and what turned out to be true lie in two tables; the truth takes longer than the window is."""
    answered = scored(watched, tmp_path)
    another = answered.assign(by=f"{MODEL} 99", wind=0.0, answer=0, order_id="of another version")
    old = answered.assign(hour="2024-03-01 00:00:00", wind=9.0, order_id="long ago")
    truth = pd.DataFrame({"order": answered["order_id"], "turned_out": answered["up"]})
    twice, stray = truth.head(10), pd.DataFrame({"order": ["nobody"], "turned_out": [1]})
    early = truth.tail(24).assign(turned_out=lambda told: 1 - told["turned_out"])
    secret = tmp_path / "open-sesame-4712"
    secret.mkdir()
    fill(secret / "scores.db", answered=pd.concat([answered, another, old]).drop(columns="up"))
    fill(secret / "labels.db", truth=pd.concat([truth.head(150), twice, stray, early]))
    monkeypatch.setenv("AIRFLOW_CONN_SCORES", f"sqlite:///{secret / 'scores.db'}")
    monkeypatch.setenv("AIRFLOW_CONN_TRUTH", f"sqlite:///{secret / 'labels.db'}")
    rows = "SELECT * FROM answered WHERE hour >= {start} AND hour < {end}"
    labels = {"query": "SELECT * FROM truth", "connection": "truth", "id": "order", "label": "turned_out"}
    tables = {"of": "scored", "scored": {**SCORED, "query": rows, "connection": "scores"}, "labels": labels}
    watched.declare(MODEL, monitor={**MONITOR, **tables}, retrain=RETRAIN, data=KEYED)

    run, seen = look(watched, LATER)
    assert (run.state, seen.report.watched, seen.is_due) == ("success", Watched.SCORED, False)
    assert seen.report.drift is not None
    assert seen.report.quality is not None
    assert (seen.report.drift.current_rows, seen.report.quality.rows) == (168, 168), "a week each, of one version"
    assert (seen.report.quality.labelled_rows, seen.report.new_labels) == (150, 150)
    told = {answer.gate: answer.verdict for answer in seen.decision.judgement.results}
    assert {told[gate] for gate in ("data", "drift", "predictions", "quality.loss")} == {Verdict.PASSED}
    said = capfd.readouterr()
    assert "repeated=10 contradictory=0 unmatched=1" in said.out
    assert secret.name not in said.out + said.err


def test_a_batch_job_is_watched_by_its_files(watched: Site, tmp_path: Path) -> None:
    """A job that has begun to answer upside down is found by the labels in the file, whatever the features say."""
    upside_down = scored(watched, tmp_path).assign(
        answer=lambda rows: 1 - rows["answer"], sure=lambda rows: 1 - rows["sure"]
    )
    for day, part in upside_down.groupby(upside_down["hour"].str[:10]):
        part.to_csv(tmp_path / f"scored-{day}.csv", index=False)
    files = {"of": "scored", "scored": {**SCORED, "source": str(tmp_path / "scored-*.csv")}}
    watched.declare(MODEL, monitor={**MONITOR, **files}, retrain={"retries": 0})

    run, seen = look(watched, LATER)
    assert (run.state, seen.decision.reasons, seen.is_due) == ("success", (Trigger.QUALITY,), True)
    told = {answer.gate: answer.verdict for answer in seen.decision.judgement.results}
    assert (told["drift"], told["quality.loss"]) == (Verdict.PASSED, Verdict.FAILED)


def test_a_model_without_a_champion_is_not_looked_at(watched: Site) -> None:
    watched.declare("calm", monitor=MONITOR)
    watched.deliver("calm", weather(turns=False))
    run = watched.run("monitor__calm", "monitoring", {}, {"as_of": QUIET})
    assert set(run.tasks.values()) == {"skipped"}
    assert watched.hooks.ledger.entries("calm") == []


def test_a_reference_that_is_gone_is_said(watched: Site) -> None:
    shutil.rmtree(watched.home / "references", ignore_errors=True)
    store, aside = watched.home / "data-store", watched.home / "data-store.aside"
    store.rename(aside)
    store.mkdir()
    try:
        run, seen = look(watched, QUIET)
    finally:
        store.rmdir()
        aside.rename(store)
    assert (run.state, run.tasks["drift"], seen.decision.judgement.verdict) == (
        "success", "skipped", Verdict.INCONCLUSIVE,
    )  # fmt: skip
    assert "the reference window of version 1 cannot be restored" in seen.decision.sentence


def test_a_champion_that_goes_back_takes_its_reference_along(watched: Site) -> None:
    first = watched.hooks.deployments.current(MODEL)
    deeper = {"estimator": "decision_tree", "params": {"max_depth": 8}}
    # Whether it is better is another test's story.
    lenient = {"gates": [{"metric": "roc_auc", "floor": 0.5, "margin": 0.5}], "evaluate": {"must_beat": []}}
    watched.declare(MODEL, monitor=MONITOR, retrain=RETRAIN, train=deeper, **lenient)
    assert watched.retrain(MODEL, as_of=WINDY).outcome == "promoted"
    _, after = look(watched, WINDY)
    second = watched.hooks.deployments.current(MODEL)
    assert first is not None
    assert second is not None
    assert after.report.drift is not None
    assert after.report.drift.reference_data == second.champion.reference_data != first.champion.reference_data
    form = {"model": MODEL, "target": "previous", "reason": "customers complain", "dry_run": False}
    watched.run("rollback", "operations", {}, form)
    _, back = look(watched, WINDY)
    assert back.report.drift is not None
    assert back.report.drift.reference_data == first.champion.reference_data
