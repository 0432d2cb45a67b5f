"""How a stage ends other than by its answer: refused, broken, out of memory or time, killed, or left behind."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tests.unit.operators.probe import Store, context, interrupted, jobs, operator
from understudy.contract.words import Isolation
from understudy.hooks.local_runs import alone
from understudy.operators.stage.data_stage import DataStageOperator
from understudy.operators.stage_errors import (
    ResultUnusable,
    StageBroken,
    StageOutOfMemory,
    StageRefused,
    StageTimedOut,
    StageVanished,
)
from understudy.operators.tidy.housekeeping import reap
from understudy.operators.tidy.tidy import TidyOperator
from understudy.runners.choose import choose_runner
from understudy.settings import settings

pytestmark = pytest.mark.usefixtures("probe_home")


def test_a_refusal_is_not_tried_again_and_names_the_field() -> None:
    with pytest.raises(StageRefused, match=r"\(data.target\): column 'up' is all null") as refused:
        operator("refuse").execute(context())
    assert isinstance(refused.value, AirflowFailException)
    assert jobs() == []


def test_refused_data_skip_where_a_later_task_reports_it() -> None:
    with pytest.raises(StageRefused):
        operator("refuse", DataStageOperator).execute(context())
    with pytest.raises(AirflowSkipException, match=r"\(data.target\): column 'up' is all null"):
        operator("refuse", DataStageOperator, skip_on_refusal=True).execute(context())


def test_running_out_of_memory_is_not_tried_again_and_names_what_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MEMORY", "200m")
    settings.cache_clear()
    with pytest.raises(StageOutOfMemory, match=r"200m .*runtime\.memory") as full:
        operator("hog").execute(context())
    assert isinstance(full.value, AirflowFailException)
    assert jobs() == []


def test_a_crash_may_be_tried_again() -> None:
    with pytest.raises(StageBroken, match="ValueError: no luck") as broken:
        operator("crash").execute(context())
    assert not isinstance(broken.value, AirflowFailException)
    assert jobs() == []


@pytest.mark.parametrize(("function", "problem"), [("forge", "schema_version"), ("lie", "output 'n' is not the file")])
def test_an_answer_that_does_not_hold_what_it_promises_is_unusable(function: str, problem: str) -> None:
    with pytest.raises(ResultUnusable, match=problem):
        operator(function).execute(context())
    assert jobs() == []


def test_the_time_limit_ends_the_stage_and_says_what_to_raise() -> None:
    begun = time.monotonic()
    with pytest.raises(StageTimedOut, match=r"time limit of 1s .*runtime\.timeout"):
        operator("slow", stage_params={"seconds": 60}, timeout=timedelta(seconds=1)).execute(context())
    assert time.monotonic() - begun < 10
    assert jobs() == []


def test_a_kill_removes_the_stage_within_five_seconds_and_ends_the_task() -> None:
    task = operator("slow", stage_params={"seconds": 60})
    ended: list[BaseException] = []

    def work() -> None:
        try:
            task.execute(context())
        except StageVanished as vanished:
            ended.append(vanished)

    worker = threading.Thread(target=work)
    worker.start()
    while not jobs():
        time.sleep(0.05)
    time.sleep(0.3)
    begun = time.monotonic()
    task.on_kill()
    assert time.monotonic() - begun < 5
    worker.join(5)
    assert len(ended) == 1
    assert jobs() == []


def test_a_kill_does_not_wait_for_an_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    task = operator("slow", stage_params={"seconds": 0})
    task._attempt = task._plan(context())
    monkeypatch.setattr(task._attempt.runner, "find", lambda name: time.sleep(30))
    begun = time.monotonic()
    task.on_kill()
    assert time.monotonic() - begun < 5


def test_the_reaper_removes_only_what_no_task_waits_for() -> None:
    interrupted(Store(), {"seconds": 60})
    runner = choose_runner(Isolation.PROCESS, settings())
    assert reap(runner, lambda labels: labels["dag_id"] == "d") == []
    assert len(jobs()) == 1
    assert len(reap(runner, lambda labels: False)) == 1
    assert jobs() == []


@pytest.mark.parametrize(
    ("message", "field", "told"),
    [
        ("train.params.CC: no such parameter", "train.params.CC", "its input: train.params.CC: no such parameter"),
        ("no such parameter", "train.params.CC", "its input (train.params.CC): no such parameter"),
        ("it is empty", None, "its input: it is empty"),
    ],
)
def test_a_refusal_names_its_field_once(message: str, field: str | None, told: str) -> None:
    assert str(StageRefused("train", message, field)).endswith(told)


def test_housekeeping_leaves_the_stage_of_a_run_without_a_scheduler_for_as_long_as_its_process_lives() -> None:
    tidied = context(ti=SimpleNamespace(get_task_states=lambda **_: {}))
    with alone(settings().home, "d"):
        interrupted(Store(), {"seconds": 60})
        assert TidyOperator(task_id="tidy").execute(tidied)["stages"] == []
        assert len(jobs()) == 1
    assert len(TidyOperator(task_id="tidy").execute(tidied)["stages"]) == 1
    assert jobs() == []
