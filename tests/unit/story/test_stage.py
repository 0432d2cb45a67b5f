"""An act is played on Airflow while callers go on, and lasts until they have seen what serves."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from understudy.contract.load import load_model, spec_path
from understudy.contract.words import Outcome
from understudy.embedded.airflow_api import TaskState
from understudy.sample.traffic import Count, Hours
from understudy.settings import PROJECT
from understudy.story import stage as stage_module
from understudy.story.acts import ACTS, MODEL, Act, Market, Scene
from understudy.story.live import markets
from understudy.story.proof import Happened
from understudy.story.scenery import declare
from understudy.story.stage import Stage

ACT = {act.scene: act for act in ACTS}
HOURS = {market: Hours(rows=[[market.value]], labels=[0]) for market in Market}


class FakeAirflow:
    """Stands for Airflow's API."""

    def __init__(self) -> None:
        self.triggered: list[dict[str, Any]] = []
        self.reread_times = 0
        self.told: dict[str, Any] = {}
        self.tasks: list[TaskState] = []
        self.until: list[str | None] = []
        self.asked: list[str] = []
        self.begun: dict[str, str] = {}
        """The Dag of each run."""

    def wait_for_dag(self, dag_id: str, timeout_s: float) -> None:
        return

    def reread(self, dag_id: str, timeout_s: float) -> None:
        self.reread_times += 1

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        self.triggered.append(conf)
        if dag_id == stage_module.MONITOR_ID and self.told["decide"]["is_due"]:
            self.asked.append(f"asked{len(self.asked) + 1}")
        run = f"run{len(self.triggered)}"
        self.begun[run] = dag_id
        return run

    def runs(self, dag_id: str, run_type: str) -> list[str]:
        return self.asked if (dag_id, run_type) == (stage_module.DAG_ID, "asset_triggered") else []

    def follow(
        self, dag_id: str, run: str, watch: Callable[[list[TaskState]], None], *, until: str | None = None
    ) -> str:
        assert self.begun.get(run, stage_module.DAG_ID) == dag_id, "Airflow knows no such run of this Dag"
        if dag_id == stage_module.MONITOR_ID:
            watch([TaskState(task="drift", state="success")])
            return "success"
        self.until.append(until)
        watch(self.tasks)
        return "running" if until else "success"

    def xcom(self, dag_id: str, run: str, task: str) -> Any:
        return self.told.get(task)


class FakeTraffic:
    """Stands for callers on the network; each look at it sees ten more answers."""

    def __init__(self) -> None:
        self.starts, self.played, self.mark = 0, list[str](), 0

    def start(self) -> None:
        self.starts += 1

    def play(self, hours: Hours) -> None:
        self.played.append(str(hours.rows[0][0]))

    def since(self, mark: int) -> Count:
        self.mark += 10 if self.starts else 0
        seen = self.mark - mark
        return Count(requests=seen, failed=0, versions={1: seen}, statuses={200: seen}, slowest_ms=1)


@pytest.fixture
def airflow() -> FakeAirflow:
    return FakeAirflow()


@pytest.fixture
def traffic() -> FakeTraffic:
    return FakeTraffic()


@pytest.fixture
def stage(airflow: FakeAirflow, traffic: FakeTraffic, tmp_path: Path) -> Stage:
    return Stage(airflow, tmp_path, traffic, HOURS)  # type: ignore[arg-type]


def play(stage: Stage, act: Act, seen: list[TaskState] | None = None) -> Happened:
    return stage.play(act, (seen if seen is not None else []).extend, lambda: 1)


def test_callers_begin_once_the_first_model_serves_and_see_it(
    stage: Stage, airflow: FakeAirflow, traffic: FakeTraffic
) -> None:
    airflow.told = {"outcome": {"outcome": "promoted", "sentence": "it serves"}}
    happened = play(stage, ACT[Scene.FIRST])
    assert (happened.outcome, happened.sentence) == (Outcome.PROMOTED, "it serves")
    assert happened.live.versions[1] >= stage_module.SEEN
    play(stage, ACT[Scene.POISONED])
    assert traffic.starts == 1
    assert traffic.played == ["old", "old_again"]


def test_where_nothing_serves_nobody_is_waited_for(stage: Stage, traffic: FakeTraffic) -> None:
    happened = stage.play(ACT[Scene.FIRST], lambda _: None, lambda: None)
    assert happened.outcome is None
    assert traffic.mark <= 10


def test_a_promotion_ends_its_act_and_the_fault_goes_on_with_the_same_run(stage: Stage, airflow: FakeAirflow) -> None:
    airflow.told = {"promote": {"change": "promotion", "sentence": "promoted"}, "decide": {"is_due": True}}
    airflow.tasks = [TaskState(task="promote", state="success"), TaskState(task="guard", state="running")]
    begun = datetime.now(timezone.utc)
    shown: list[TaskState] = []
    assert play(stage, ACT[Scene.BETTER], shown).outcome is Outcome.PROMOTED
    assert [task.task for task in shown] == ["drift", "drift", "promote", "guard"]  # the look stays in sight
    airflow.told = {"outcome": {"outcome": "rolled_back", "sentence": "back"}}
    seen: list[TaskState] = []
    happened = play(stage, ACT[Scene.FAULT], seen)
    assert (happened.outcome, happened.run) == (Outcome.ROLLED_BACK, "asked1")
    assert [task.task for task in seen] == ["guard"]  # what the act before has shown is not shown again
    assert airflow.until == ["promote", None]
    assert happened.turned_at >= begun


def test_where_the_monitor_sees_nothing_no_retraining_is_waited_for(stage: Stage, airflow: FakeAirflow) -> None:
    airflow.told = {"decide": {"is_due": False, "sentence": "looked, nothing to do"}}
    happened = play(stage, ACT[Scene.QUIET])
    assert (happened.outcome, happened.state, happened.sentence) == (None, "success", "looked, nothing to do")
    assert airflow.until == []


def test_a_fault_after_a_look_that_began_no_retraining_is_no_crash(stage: Stage, airflow: FakeAirflow) -> None:
    airflow.told = {"decide": {"is_due": False, "sentence": "no champion yet"}}
    play(stage, next(act for act in ACTS if act.look_at is not None))
    happened = play(stage, next(act for act in ACTS if not act.begins))
    assert happened.outcome is None


def test_a_retraining_that_does_not_begin_is_told(
    stage: Stage, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "ASKED_WITHIN_S", 0.1)
    monkeypatch.setattr(airflow, "runs", lambda dag_id, run_type: [])
    airflow.told = {"decide": {"is_due": True}}
    with pytest.raises(stage_module.RetrainingMissing, match="none began within"):
        play(stage, ACT[Scene.BETTER])


def test_the_colleagues_change_is_read_and_taken_back(stage: Stage, airflow: FakeAirflow, tmp_path: Path) -> None:
    path = tmp_path / "models" / MODEL / "model.yaml"
    play(stage, ACT[Scene.FIRST])
    assert airflow.reread_times == 0
    play(stage, ACT[Scene.WORSE])
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["train"] == ACT[Scene.WORSE].train
    airflow.told = {"decide": {"is_due": False}}
    play(stage, ACT[Scene.QUIET])
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["train"]["estimator"] == "hist_gradient_boosting"
    assert airflow.reread_times == 2


def test_the_demos_declaration_is_served_rehearsed_and_guarded(tmp_path: Path) -> None:
    declare(tmp_path, None)
    spec = load_model(tmp_path / "models", MODEL)
    assert spec.serving
    assert spec.shadow
    assert spec.guard
    assert spec.monitor


def test_what_the_sample_shows_as_comments_can_be_used(tmp_path: Path) -> None:
    text = spec_path(PROJECT / "include" / "models", MODEL).read_text(encoding="utf-8")
    begun, lines = False, []
    for line in text.splitlines():
        begun = begun or line.startswith("# shadow:")
        is_shown = begun and line.startswith("#")
        begun = begun and is_shown
        lines.append(line.removeprefix("# ") if is_shown else line)
    path = tmp_path / MODEL / "model.yaml"
    path.parent.mkdir()
    path.write_text("\n".join(lines), encoding="utf-8")
    spec = load_model(tmp_path, MODEL)
    assert spec.shadow is not None
    assert spec.guard is not None
    assert spec.shadow.deadline > 5 * spec.shadow.block
    assert spec.guard.probation > 5 * spec.guard.block


def test_each_world_has_hours_of_its_own() -> None:
    found = markets()
    assert set(found) == set(Market)
    assert min(len(hours.rows) for hours in found.values()) > 500
