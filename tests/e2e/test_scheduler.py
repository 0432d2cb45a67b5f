"""What only a real scheduler shows: retrainings at once, a killed worker, a failed task, events, a backfill."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import what_docker_lacks
from tests.e2e.airflow_site import ENDS_WITHIN_S, Site, running_site, wait
from tests.unit.hooks.alerting.receivers import WebReceiver, web_receiver
from understudy.contract.cause import Cause
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_DAG
from understudy.contract.words import AlertKind, EntryKind, Trigger
from understudy.embedded.airflow_client import AirflowRefused
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN
from understudy.hooks.connect import Hooks
from understudy.operators.settle import SETTLES_S
from understudy.settings import settings
from understudy.workspace import run_key

pytestmark = pytest.mark.e2e

TRAINER = """
import time

from sklearn.tree import DecisionTreeClassifier


def train(frame, params, context):
    for second in range(params["seconds"]):
        print("thinking", second, flush=True)
        time.sleep(1)
    return DecisionTreeClassifier(max_depth=4, random_state=0).fit(frame[list(context.features)], frame[context.target])
"""
LOCKED_S = 12  # longer than the API server waits for its database
SECONDS = 15  # twice a run: once to measure, once to keep


@pytest.fixture(scope="module")
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, web: WebReceiver) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("stack")
    isolation = "docker" if what_docker_lacks() is None else "process"
    for model in ("alpha", "beta"):
        declare(home, model)
    declare_watched(home, "gale")
    declare_watched(home, "storm", monitor=None, retrain={})
    asking = {"mode": "approval", "approvers": [ADMIN], "timeout": "2h"}
    declare_watched(home, "vote", monitor=None, retrain={}, promotion=asking)
    told = {
        "AIRFLOW_CONN_ONCALL": json.dumps({"conn_type": "http", "host": web.url}),
        "AIRFLOW__UNDERSTUDY__ALERTS_TO": "oncall",
    }
    with running_site(home, isolation, told) as running:
        retrained = ("alpha", "beta", "gale", "storm", "vote")
        for dag_id in (*(f"retrain__{model}" for model in retrained), "monitor__gale", "hold", "rollback", "alerts"):
            running.api.wait_for_dag(dag_id, 400)
        yield running


def declare(home: Path, model: str) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(1200, 3))
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"]).assign(
        up=(numbers[:, 0] + 0.5 * rng.normal(size=1200) > 0).astype(int),
        at=[datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hour) for hour in range(1200)],
    )
    folder = home / "models" / model
    folder.mkdir(parents=True)
    frame.to_csv(home / f"{model}.csv", index=False)
    (folder / "trainer.py").write_text(TRAINER, encoding="utf-8")
    spec = {
        "model": model, "owner": "market-ml", "task": "binary_classification",
        "data": {"source": str(home / f"{model}.csv"), "time": "at", "target": "up"},
        "train": {"trainer": "trainer.py:train", "params": {"seconds": SECONDS}},
        "evaluate": {"must_beat": ["dummy"]}, "gates": [{"metric": "roc_auc", "floor": 0.6}],
    }  # fmt: skip
    (folder / "model.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


TRAINED, QUIET, WINDY = "2024-04-10T00:00:00Z", "2024-04-18T00:00:00Z", "2024-04-28T00:00:00Z"


def declare_watched(home: Path, model: str, **sections: Any) -> None:
    """Declare a quick model of hourly weather whose wind, on which the answer depends, turns on the 20th of April."""
    rng, rows = np.random.default_rng(1), 3000
    at = pd.date_range("2024-01-01", periods=rows, freq="h")
    wind, sun = rng.normal(size=rows) + 3 * (at >= pd.Timestamp("2024-04-20")), rng.normal(size=rows)
    up = (np.sin(2 * wind) + sun + 0.4 * rng.normal(size=rows) > 0).astype(int)
    folder = home / "models" / model
    folder.mkdir(parents=True)
    pd.DataFrame({"at": at, "wind": wind, "sun": sun, "up": up}).to_csv(home / f"{model}.csv", index=False)
    spec = {
        "model": model, "owner": "market-ml", "task": "binary_classification",
        "data": {"source": str(home / f"{model}.csv"), "time": "at", "target": "up"},
        "train": {"estimator": "decision_tree", "params": {"max_depth": 6}},
        "evaluate": {"must_beat": ["dummy"]}, "gates": [{"metric": "roc_auc", "floor": 0.6, "margin": 0.1}],
        "retrain": {"schedule": "0 0 * * 1", "quality": False},
        # Its own schedule keeps out of the way.
        "monitor": {"schedule": "0 0 1 1 *", "of": "data", "window": "7d", "looks": 1, "min_rows": 100},
        **sections,
    }  # fmt: skip
    (folder / "model.yaml").write_text(
        yaml.safe_dump({k: v for k, v in spec.items() if v is not None}), encoding="utf-8"
    )


@contextmanager
def out_of_reach(database: Path) -> Iterator[None]:
    """Let nobody open a database for a while."""
    away = database.with_name(f"{database.name}-away")
    database.rename(away)
    database.mkdir()
    try:
        yield
    finally:
        database.rmdir()
        away.rename(database)


def test_a_killed_worker_loses_no_work_and_disturbs_no_other_model(site: Site) -> None:
    runs = {model: site.api.trigger(f"retrain__{model}", {"reason": "both at once"}) for model in ("alpha", "beta")}
    task, job = site.training("alpha", runs["alpha"])
    os.kill(task["pid"], signal.SIGKILL)

    assert site.follow("alpha", runs["alpha"]) == {job["id"]}
    site.follow("beta", runs["beta"])
    for model, run in runs.items():
        assert site.api.xcom(f"retrain__{model}", run, "outcome")["outcome"] == "promoted"
    tries = {model: site.task(model, run, "train")["try_number"] for model, run in runs.items()}
    assert tries == {"alpha": 2, "beta": 1}
    assert site.jobs("alpha") == site.jobs("beta") == []


def test_a_task_that_a_person_fails_takes_its_stage_along(site: Site) -> None:
    run = site.api.trigger("retrain__alpha", {"reason": "a mistake"})
    site.training("alpha", run)
    site.fail_train("alpha", run)
    gone_after = wait(lambda: site.jobs("alpha") == [], 60)
    assert gone_after < 20
    site.follow("alpha", run)
    ended = site.api.xcom("retrain__alpha", run, "outcome")
    assert (ended["outcome"], ended["champion"]) == ("broken", 1)


def test_a_run_that_was_ended_before_it_could_say_why_is_told_once(site: Site, web: WebReceiver) -> None:
    def told() -> list[Any]:
        return [alert["sentence"] for alert in web.taken if run in alert["sentence"]]

    run = site.api.trigger("retrain__beta", {"reason": "nobody knows"})
    site.training("beta", run)
    site.end_run("beta", run)
    # One that never got so far as to measure anything.
    site.api.wait_for_dag(DRILL_DAG, 400)
    with site.paused(DRILL_DAG):
        drill = site.queue(DRILL_DAG)
        site.end_run_of(DRILL_DAG, drill)
    site.api.follow(DRILL_DAG, drill, lambda _: None)
    for _ in range(2):
        sweep = site.api.trigger("alerts", {})
        assert site.api.follow("alerts", sweep, lambda _: None) == "success"
    (sentence,) = told()
    assert sentence.endswith("of retrain__beta failed before it could say why")
    (alert,) = [alert for alert in web.taken if alert["sentence"] == sentence]
    assert (alert["kind"], alert["model"]) == (AlertKind.RUN_BROKEN, "beta")
    (drilled,) = [alert for alert in web.taken if drill in alert["sentence"]]
    assert (drilled["kind"], drilled["model"]) == (AlertKind.RUN_BROKEN, DRILL_MODEL)
    assert "ended before it had measured anything" in drilled["sentence"]
    wait(lambda: site.jobs("beta") == [], 60)


def test_a_rollback_whose_task_is_killed_at_each_try_is_told_once(site: Site, web: WebReceiver) -> None:
    def told() -> list[Any]:
        return [alert for alert in web.taken if alert["kind"] == AlertKind.ROLLBACK_FAILED]

    # Nobody gets past the ledger, so that each try is still there to be killed.
    with closing(sqlite3.connect(site.home / "ledger.db", timeout=120, isolation_level=None)) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        run = site.api.trigger("rollback", {"model": "beta", "reason": "it hurts"})
        for number in (1, 2, 3):
            site.kill("rollback", run, "rollback", number)
        assert site.api.follow("rollback", run, lambda _: None) == "failed"
        locked.execute("ROLLBACK")
    for _ in range(2):
        sweep = site.api.trigger("alerts", {})
        assert site.api.follow("alerts", sweep, lambda _: None) == "success"
    (alert,) = told()
    assert (alert["model"], alert["severity"]) == ("beta", "critical")
    assert alert["key"] == f"rollback_failed/beta/{run_key(run)}"
    assert alert["sentence"].endswith("its task was killed")


def test_drift_starts_exactly_one_retraining_which_knows_why(site: Site) -> None:
    first = site.api.trigger("retrain__gale", {"reason": "the first one", "as_of": TRAINED})
    site.follow("gale", first)
    quiet = site.look("gale", QUIET)
    assert (quiet["is_due"], quiet["is_blind"]) == (False, False)
    assert site.runs("gale", "asset_triggered") == []

    windy = site.look("gale", WINDY)
    assert (windy["is_due"], windy["reasons"]) == (True, ["drift"])
    wait(lambda: len(site.runs("gale", "asset_triggered")) == 1, 400)
    (run,) = site.runs("gale", "asset_triggered")
    site.follow("gale", run["dag_run_id"])
    ended = site.api.xcom("retrain__gale", run["dag_run_id"], "outcome")
    assert (ended["outcome"], ended["champion"]) == ("promoted", 2)

    triggered, cause, as_of = site.began("gale")
    assert triggered.reason.startswith("drift: ")
    assert "wind by" in triggered.reason
    assert [ask.ledger_seq for ask in cause.asks] == [windy["ledger_seq"]]
    assert as_of == datetime(2024, 4, 28, tzinfo=timezone.utc)
    promoted = site.entries("gale", EntryKind.DEPLOYED)[-1]
    assert (promoted.reason, promoted.run) == (triggered.reason, triggered.run)
    again = site.look("gale", "2024-04-29T00:00:00Z")
    assert again["is_due"] is False
    assert len(site.runs("gale", "asset_triggered")) == 1


def test_many_events_are_one_retraining(site: Site) -> None:
    site.ask_from_outside("storm", 1000)
    wait(lambda: not site.waiting_events("storm"), ENDS_WITHIN_S)
    wait(
        lambda: {run["state"] for run in site.runs("storm", "asset_triggered")} <= {"success", "failed"}, ENDS_WITHIN_S
    )
    runs = site.runs("storm", "asset_triggered")
    ends = [site.api.xcom("retrain__storm", run["dag_run_id"], "outcome")["outcome"] for run in runs]
    assert (ends[0], set(ends[1:]) <= {"held_back"}) == ("promoted", True)
    assert len(site.entries("storm", EntryKind.TRIGGERED)) == 1
    triggered, cause, _ = site.began("storm")
    assert cause.reasons == (Trigger.EXTERNAL,)
    assert "the meters were replaced" in triggered.reason


def test_a_backfill_trains_and_judges_the_past_and_promotes_nothing(site: Site) -> None:
    span = {"from_date": "2024-03-10T00:00:00Z", "to_date": "2024-03-12T00:00:00Z"}
    site.backfill("gale", span)
    wait(lambda: len(site.runs("gale", "backfill")) == 1, 400)
    (run,) = site.runs("gale", "backfill")
    site.follow("gale", run["dag_run_id"])
    ended = site.api.xcom("retrain__gale", run["dag_run_id"], "outcome")
    assert ended["outcome"] == "dry_run"
    assert "backfill without promote_past" in ended["sentence"]
    # Once a DAG has a run in the past, Airflow also catches up with its last scheduled one: only this run is looked at.
    own = Hooks(settings()).ledger.entries("gale", run=run_key(run["dag_run_id"]))
    (triggered,) = [entry for entry in own if entry.kind is EntryKind.TRIGGERED]
    assert str(triggered.facts["as_of"]).startswith("2024-03-11")
    assert Cause.model_validate(triggered.facts["cause"]).reasons == (Trigger.BACKFILL,)
    assert EntryKind.JUDGED in {entry.kind for entry in own}
    assert EntryKind.DEPLOYED not in {entry.kind for entry in own}


def test_people_reject_and_approve_by_the_api_and_nothing_moves_without_them(site: Site) -> None:
    run = site.api.trigger("retrain__vote", {"reason": "the first one", "as_of": TRAINED})
    assert site.api.follow("retrain__vote", run, lambda _: None) == "awaiting_input"
    asked = site.asked("vote")
    assert (asked.subject, asked.assigned) == ("May version 1 of vote become champion?", (ADMIN,))
    site.api.answer(asked, "Reject", {"reason": "<b>not</b> before the audit"})
    with pytest.raises(AirflowRefused, match="409"):
        site.api.answer(asked, "Approve", {"reason": "too late"})
    ended = site.ended("vote", run)
    assert (ended["outcome"], ended["champion"]) == ("rejected", None)
    assert ended["sentence"] == f"version 1 was rejected by {ADMIN}: <b>not</b> before the audit"

    run = site.api.trigger("retrain__vote", {"reason": "the second one", "as_of": TRAINED})
    # Airflow's API takes an answer without a reason: it does not count, and the question comes back. Given before the
    # scheduler sees that the process which asked is gone, it makes Airflow take the task for lost, and try it again.
    site.api.answer(site.asked("vote", look_every_s=0.02), "Approve", {})
    wait(lambda: len(site.entries("vote", EntryKind.APPROVAL_ANSWERED)) == 2, 120)
    asked = site.asked("vote")
    time.sleep(SETTLES_S)
    with out_of_reach(site.home / "ledger.db"):
        site.api.answer(asked, "Approve", {"reason": "the audit is over"})
        wait(lambda: site.task("vote", run, "approve")["state"] == "up_for_retry", 120)
    ended = site.ended("vote", run)
    assert (ended["outcome"], ended["champion"]) == ("promoted", 2)
    answers = [(entry.facts["answer"], entry.actor) for entry in site.entries("vote", EntryKind.APPROVAL_ANSWERED)]
    assert answers == [("rejected", ADMIN), ("void", ADMIN), ("approved", ADMIN)]
    assert f"approved by {ADMIN}: the audit is over" in site.entries("vote", EntryKind.DEPLOYED)[-1].reason


def test_a_run_that_is_asked_for_while_airflow_cannot_write_begins_once_it_can(site: Site) -> None:
    before = site.api.runs("alerts", "manual")
    database = Layout(home=site.home).database
    with closing(sqlite3.connect(database, timeout=120, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        release = threading.Timer(LOCKED_S, writer.execute, ("ROLLBACK",))
        release.start()
        run = site.api.trigger("alerts", {})
        release.join()
    assert site.api.follow("alerts", run, lambda _: None) == "success"
    assert site.api.runs("alerts", "manual") == [*before, run]


def test_a_form_acts_as_whoever_sent_it(site: Site) -> None:
    form = {"model": "vote", "reason": "stocktaking"}
    for bad in ({"reason": " "}, {"reason": "x" * 1001}, {"model": "no such name"}):
        with pytest.raises(AirflowRefused, match="400"):
            site.api.trigger("hold", {**form, **bad})
    for forged in ({"actor": "somebody else"}, {"triggering_user_name": "eve"}, {"model": "unknown"}):
        run = site.api.trigger("hold", {**form, **forged})
        assert site.api.follow("hold", run, lambda _: None) == "failed"
    assert site.entries("vote", EntryKind.HELD) == []
    run = site.api.trigger("hold", form)
    assert site.api.follow("hold", run, lambda _: None) == "success"
    (held,) = site.entries("vote", EntryKind.HELD)
    assert (held.actor, held.reason) == (ADMIN, "stocktaking")
