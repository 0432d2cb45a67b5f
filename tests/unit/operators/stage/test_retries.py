"""What is tried again after a worker or a conclusion broke, and what is never run twice."""

import json
import time
from typing import Any

import pytest
from airflow.sdk import RetryAction

from tests.unit.operators.probe import Store, context, interrupted, jobs, operator
from understudy.contract.words import Isolation
from understudy.dag_factory import retry_policy
from understudy.hooks.registry.errors import NotAModel
from understudy.operators.stage.stage import StageOperator
from understudy.runners.choose import choose_runner
from understudy.runners.errors import EngineUnreachable
from understudy.runners.process import ProcessRunner
from understudy.settings import settings

pytestmark = pytest.mark.usefixtures("probe_home")


def test_clearing_a_finished_task_runs_it_again() -> None:
    store = Store()
    first = operator("count").execute(context(store))
    assert store == {}
    second = operator("count").execute(context(store, try_number=2))
    assert second["report"]["started"] > first["report"]["started"]


def test_clearing_a_finished_task_runs_it_again_even_if_the_finished_stage_could_not_be_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(_self: ProcessRunner, _job_id: str) -> None:
        raise EngineUnreachable("it just went down")

    store = Store()
    with monkeypatch.context() as down:
        down.setattr(ProcessRunner, "remove", unreachable)
        first = operator("count").execute(context(store))
    assert len(jobs()) == 1
    second = operator("count").execute(context(store, try_number=2))
    assert second["report"]["started"] > first["report"]["started"]
    assert jobs() == []


def test_a_retry_attaches_to_the_running_stage_and_gives_the_same_xcom() -> None:
    store = Store()
    interrupted(store, {"seconds": 1.5})
    before = jobs()
    answer = operator("slow", stage_params={"seconds": 1.5}).execute(context(store, try_number=2))
    assert len(before) == 1
    assert set(answer) == {"report", "outputs"}
    assert answer["report"]["pid"]
    assert store == {}


def test_a_retry_finds_a_stage_whose_id_was_never_noted() -> None:
    store = Store()
    interrupted(store, {"seconds": 1.5})
    noted = json.loads(store.pop("understudy_job")["job"])["pid"]
    task = operator("slow", stage_params={"seconds": 1.5})
    task._attempt = task._plan(context(store))
    assert json.loads(task.submit_job(context(store))["job"])["pid"] == noted


def test_a_stage_that_finished_before_its_id_was_noted_is_concluded_and_not_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    interrupted(store, {"seconds": 0})
    runner = choose_runner(Isolation.PROCESS, settings())
    list(runner.stream_logs(store.pop("understudy_job")["job"]))
    monkeypatch.setattr(ProcessRunner, "submit", lambda *_: pytest.fail("it was submitted again"))
    answer = operator("slow", stage_params={"seconds": 0}).execute(context(store, try_number=2))
    assert set(answer) == {"report", "outputs"}
    assert (store, jobs()) == ({}, [])


def test_a_retry_that_asks_something_else_ends_the_old_stage_and_starts_its_own() -> None:
    store = Store()
    interrupted(store, {"seconds": 60})
    begun = time.monotonic()
    operator("slow", stage_params={"seconds": 0}).execute(context(store, try_number=2))
    assert time.monotonic() - begun < 20
    assert jobs() == []


def test_a_stage_that_finished_unwatched_is_concluded_and_not_run_again() -> None:
    store = Store()
    interrupted(store, {"seconds": 0})
    runner = choose_runner(Isolation.PROCESS, settings())
    list(runner.stream_logs(store["understudy_job"]["job"]))
    task = operator("slow", stage_params={"seconds": 0})
    task.submit_job = lambda context: pytest.fail("it was submitted again")
    assert set(task.execute(context(store, try_number=2))) == {"report", "outputs"}


def test_a_conclusion_that_breaks_is_tried_again_without_running_the_stage_again() -> None:
    class Registering(StageOperator):
        def conclude(self, context: Any, result: Any, folder: Any) -> dict[str, Any]:
            if context["ti"].try_number == 1:
                raise ConnectionError("the registry is down")
            return dict(result.report)

    store = Store()
    with pytest.raises(ConnectionError):
        operator("count", Registering).execute(context(store))
    left = time.time()
    answer = operator("count", Registering).execute(context(store, try_number=2))
    assert answer["started"] < left
    assert jobs() == []


def test_a_conclusion_that_is_refused_is_not_tried_again_and_leaves_nothing_behind() -> None:
    class Registering(StageOperator):
        def conclude(self, context: Any, result: Any, folder: Any) -> dict[str, Any]:
            raise NotAModel("probe", "its outputs hold no MLmodel file")

    store = Store()
    with pytest.raises(NotAModel) as refused:
        operator("count", Registering).execute(context(store))
    assert retry_policy().evaluate(refused.value, 1, 3).action is RetryAction.FAIL
    assert jobs() == []
    assert store == {}
