"""What only a real scheduler shows: retrainings at once, a killed worker, a failed task, events, a backfill."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import what_docker_lacks
from tests.e2e.browser import NARROW, Page, logged_in
from tests.integration.test_rollback import Desk
from understudy.contract.cause import Cause
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind, Trigger
from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi, AirflowRefused, Asked
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN
from understudy.hooks.connect import Hooks
from understudy.hooks.reigns import reigns
from understudy.runners.choose import choose_runner
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
SECONDS = 15  # twice a run: once to measure, once to keep
ENDS_WITHIN_S = 900
REASON = "<i>callers</i> complain; DROP TABLE ledger"


@dataclass(frozen=True)
class Site:
    """A running stack of its own."""

    home: Path
    api: AirflowApi
    isolation: str

    def train_task(self, model: str, run: str) -> Any:
        return self.api._call("GET", f"{self._tasks(model, run)}/train", "look at the task")

    def fail_train(self, model: str, run: str) -> None:
        self.api._call("PATCH", f"{self._tasks(model, run)}/train", "fail the task", {"new_state": "failed"})

    def follow(self, model: str, run: str) -> set[str]:
        """Wait for the end; return the ids of the containers or processes that trained meanwhile."""
        deadline, seen = time.monotonic() + ENDS_WITHIN_S, set[str]()

        def look(_: object) -> None:
            assert time.monotonic() < deadline, f"the run {run} of {model} does not end"
            seen.update(job["id"] for job in self.jobs(model))

        self.api.follow(f"retrain__{model}", run, look)
        return seen

    def asked(self, model: str) -> Asked:
        """Wait until a retraining asks people, and return what."""
        wait(lambda: len(self.api.asked(f"retrain__{model}")) == 1, 400)
        return self.api.asked(f"retrain__{model}")[0]

    def ended(self, model: str, run: str) -> dict[str, Any]:
        """Wait until a retraining has ended, and return how."""
        over = {"success", "failed"}
        wait(lambda: self.api.follow(f"retrain__{model}", run, lambda _: None) in over, ENDS_WITHIN_S)
        ended: dict[str, Any] = self.api.xcom(f"retrain__{model}", run, "outcome")
        return ended

    def runs(self, model: str, run_type: str) -> list[dict[str, Any]]:
        """List a model's retrainings of a kind, oldest first."""
        path = f"/api/v2/dags/retrain__{model}/dagRuns?run_type={run_type}&order_by=run_after&limit=1000"
        return list(self.api._call("GET", path, "list the runs")["dag_runs"])

    def runs_of(self, dag_id: str) -> list[dict[str, Any]]:
        """List the runs of a DAG."""
        path = f"/api/v2/dags/{dag_id}/dagRuns?limit=1000"
        return list(self.api._call("GET", path, "list the runs")["dag_runs"])

    def waiting_events(self, model: str) -> bool:
        """Tell whether Airflow keeps events from which no run has begun yet."""
        path = f"/api/v2/dags/retrain__{model}/assets/queuedEvents"
        found = self.api._call("GET", path, "list what waits", missing_ok=True)
        return found is not None and found["total_entries"] > 0

    def entries(self, model: str, kind: EntryKind) -> list[LedgerEntry]:
        return Hooks(settings()).ledger.entries(model, [kind])

    def began(self, model: str) -> tuple[LedgerEntry, Cause, datetime]:
        """Say of the newest retraining why it began, and as of when."""
        entry = self.entries(model, EntryKind.TRIGGERED)[-1]
        return entry, Cause.model_validate(entry.facts["cause"]), datetime.fromisoformat(str(entry.facts["as_of"]))

    def look(self, model: str, as_of: str) -> dict[str, Any]:
        """Look at a model as of a day; return what was decided."""
        run = self.api.trigger(f"monitor__{model}", {"as_of": as_of})
        self.api.follow(f"monitor__{model}", run, lambda _: None)
        decided: dict[str, Any] = self.api.xcom(f"monitor__{model}", run, "decide")
        return decided

    def ask_from_outside(self, model: str, events: int) -> None:
        """Send events as docs/monitoring.md says: a token, the asset's id, a call for each, again where it failed."""
        token = httpx.post(
            f"{self.api.url}/auth/token",
            json={"username": self.api._user, "password": self.api._password},
            trust_env=False,
        )
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        with httpx.Client(base_url=self.api.url, headers=headers, timeout=300, trust_env=False) as client:
            found = client.get("/api/v2/assets", params={"name_pattern": f"understudy://{model}/retrain"}).json()
            body = {"asset_id": found["assets"][0]["id"], "extra": {"reason": "the meters were replaced"}}

            for _ in range(events):
                wait(lambda: client.post("/api/v2/assets/events", json=body).status_code == 200, 300)

    def backfill(self, model: str, span: dict[str, str]) -> None:
        """Start a backfill; Airflow refuses to while something else writes to its SQLite database."""

        def is_started() -> bool:
            try:
                self.api._call("POST", "/api/v2/backfills", "start a backfill", {"dag_id": f"retrain__{model}", **span})
            except AirflowRefused as refused:
                if "Database is locked" not in str(refused):
                    raise
                return False
            return True

        wait(is_started, 300)

    def _tasks(self, model: str, run: str) -> str:
        return f"/api/v2/dags/retrain__{model}/dagRuns/{run}/taskInstances"

    def jobs(self, model: str, task: str = "train") -> list[dict[str, str]]:
        found = choose_runner(self.isolation, settings()).leftovers()  # type: ignore[arg-type]
        return [job for job in found if (job["model"], job["task_id"]) == (model, task)]

    def training(self, model: str, run: str) -> tuple[Any, dict[str, str]]:
        """Wait until the training's stage runs; return the task and the job."""
        wait(lambda: self.train_task(model, run)["state"] == "running" and len(self.jobs(model)) == 1, 400)
        return self.train_task(model, run), self.jobs(model)[0]


def wait(until: Callable[[], bool], seconds: float) -> float:
    """Wait for something to become true; return how long it took."""
    begun = time.monotonic()
    while not until():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(0.5)
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("stack")
    isolation = "docker" if what_docker_lacks() is None else "process"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(home))
        patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
        patch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", isolation)
        patch.setenv("AIRFLOW_HOME", str(home / "airflow"))
        settings.cache_clear()
        for model in ("alpha", "beta"):
            declare(home, model)
        declare_watched(home, "gale")
        for model in ("storm", "calm"):
            declare_watched(home, model, monitor=None, retrain={})
        asking = {"mode": "approval", "approvers": [ADMIN], "timeout": "2h"}
        declare_watched(home, "vote", monitor=None, retrain={}, promotion=asking)
        layout = Layout(home=home)
        try:
            running = stack.up(settings(), layout, print)
            api = AirflowApi(running.airflow, running.user, running.password)
            retrained = ("alpha", "beta", "gale", "storm", "vote")
            for dag_id in (*(f"retrain__{model}" for model in retrained), "monitor__gale", "hold"):
                api.wait_for_dag(dag_id, 400)
            yield Site(home, api, isolation)
        finally:
            stack.down(layout)
            settings.cache_clear()


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


def test_a_killed_worker_loses_no_work_and_disturbs_no_other_model(site: Site) -> None:
    runs = {model: site.api.trigger(f"retrain__{model}", {"reason": "both at once"}) for model in ("alpha", "beta")}
    task, job = site.training("alpha", runs["alpha"])
    os.kill(task["pid"], signal.SIGKILL)

    assert site.follow("alpha", runs["alpha"]) == {job["id"]}
    site.follow("beta", runs["beta"])
    for model, run in runs.items():
        assert site.api.xcom(f"retrain__{model}", run, "outcome")["outcome"] == "promoted"
    tries = {model: site.train_task(model, run)["try_number"] for model, run in runs.items()}
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
    assert cause.is_external
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
    # Airflow's API takes an answer without a reason: it does not count, and the question comes back.
    site.api.answer(site.asked("vote"), "Approve", {})
    wait(lambda: len(site.entries("vote", EntryKind.APPROVAL_ANSWERED)) == 2, 120)
    site.api.answer(site.asked("vote"), "Approve", {"reason": "the audit is over"})
    ended = site.ended("vote", run)
    assert (ended["outcome"], ended["champion"]) == ("promoted", 2)
    answers = [(entry.facts["answer"], entry.actor) for entry in site.entries("vote", EntryKind.APPROVAL_ANSWERED)]
    assert answers == [("rejected", ADMIN), ("void", ADMIN), ("approved", ADMIN)]
    assert f"approved by {ADMIN}: the audit is over" in site.entries("vote", EntryKind.DEPLOYED)[-1].reason


def test_a_form_acts_as_whoever_sent_it(site: Site) -> None:
    form = {"model": "vote", "reason": "stocktaking", "actor": "somebody else", "triggering_user_name": "eve"}
    for bad in ({"reason": " "}, {"reason": "x" * 1001}, {"model": "unknown"}):
        with pytest.raises(AirflowRefused, match="400"):
            site.api.trigger("hold", {**form, **bad})
    run = site.api.trigger("hold", form)
    assert site.api.follow("hold", run, lambda _: None) == "success"
    (held,) = site.entries("vote", EntryKind.HELD)
    assert (held.actor, held.reason) == (ADMIN, "stocktaking")


def test_a_person_finds_the_bad_model_and_takes_it_back_in_the_browser(site: Site, tmp_path: Path) -> None:
    hooks = Hooks(settings())
    desk = Desk("calm", tmp_path, hooks.deployments, hooks.registry)
    before, bad = (desk.raise_champion(number).version for number in (1, 2))
    token = httpx.post(
        f"{site.api.url}/auth/token",
        json={"username": site.api._user, "password": site.api._password},
        trust_env=False,
    ).json()["access_token"]
    with logged_in(site.api.url, token) as page:
        read_and_roll_back(page, "calm", bad, before, tmp_path)
    assert champions("calm") == [before, bad, before]
    newest = site.entries("calm", EntryKind.DEPLOYED)[-1]
    assert (newest.actor, newest.reason) == (ADMIN, REASON)
    # One that only said and one that did: the second of two clicks was no third.
    assert len(site.runs_of("rollback")) == 2


def champions(model: str) -> list[int]:
    """List who was champion, oldest first."""
    return [reign.champion.version for reign in reigns(Hooks(settings()).deployments.history(model))]


def read_and_roll_back(page: Page, model: str, bad: int, before: int, pictures: Path) -> None:
    """Find the model, read what was decided, take it back, and go on to Airflow; pictures on the way."""
    page.open("/plugin/models")
    page.enter_frame()
    page.find("input[name=search]").send_keys(f"{model}\n")
    page.until(lambda driver: f"search={model}" in driver.execute_script("return location.search"), "the search")
    assert page.unreachable() == []
    page.picture(pictures / "fleet.png")
    page.enter_frame()
    page.find("a.name", model).click()
    page.find("h1", model)
    assert page.unreachable() == []
    page.picture(pictures / "model.png")
    page.enter_frame()
    page.find("#ledger a[href*='/cards/']").click()
    page.find("h2", "What was decided")
    assert page.unreachable() == []
    page.picture(pictures / "card.png")
    page.enter_frame()
    page.find(".bar a", model).click()

    page.find("button", "Roll back").click()
    page.find("#act-reason").send_keys(REASON)
    assert not page.find("#act-do").is_enabled()
    page.find("#act-dry").click()
    page.find("#act-answer", f"goes back from version {bad} to version {before}")
    assert page.unreachable() == []
    page.picture(pictures / "rollback.png")
    page.enter_frame()
    # Two clicks at once, as from a nervous hand.
    page.driver.execute_script("const go = document.getElementById('act-do'); go.click(); go.click();")
    page.find("#act-answer", f"version {before} of {model} is champion again")
    page.find("#act-close").click()
    page.find("dd", f"version {before}")
    page.find("#ledger td", REASON)
    page.picture(pictures / "narrow.png", NARROW)
    page.enter_frame()
    page.find("dd a", f"retrain__{model}").click()
    page.until(lambda driver: driver.current_url.endswith(f"/dags/retrain__{model}"), "the DAG's page in Airflow")
