"""StageOperator with real processes; only Airflow's stores are stood in for."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization

from understudy.contract.errors import UnknownModel
from understudy.contract.words import Isolation
from understudy.operators.housekeeping import reap
from understudy.operators.run_context import as_of, run_folder
from understudy.operators.stage import StageOperator
from understudy.operators.stage_errors import (
    BadMoment,
    InputUnusable,
    ResultUnusable,
    StageBroken,
    StageOutOfMemory,
    StageRefused,
    StageTimedOut,
    StageVanished,
)
from understudy.runners.choose import choose_runner
from understudy.runners.errors import EngineUnreachable
from understudy.runners.process import ProcessRunner
from understudy.settings import settings

CODE = """
import os, time
from pathlib import Path
from understudy.stages import Refused, StageOutput, stage


@stage
def count(context):
    (context.outputs / "n.txt").write_text("1")
    report = {"started": time.time(), "as_of": str(context.request.as_of)}
    return StageOutput(report=report, outputs={"n": context.outputs / "n.txt"})


@stage
def slow(context):
    time.sleep(context.request.params["seconds"])
    return StageOutput(report={"pid": os.getpid()})


@stage
def refuse(context):
    raise Refused("column 'up' is all null", "data.target")


@stage
def hog(context):
    kept = []
    while True:
        kept.append(bytearray(16 << 20))


@stage
def crash(context):
    raise ValueError("no luck")


@stage
def forge(context):
    Path(os.environ["UNDERSTUDY_RESULT"]).write_text('{"schema_version": 99}')
    os._exit(0)


@stage
def lie(context):
    (context.outputs / "n.txt").write_text("1")
    import threading
    digest = "0" * 64
    Path(os.environ["UNDERSTUDY_RESULT"]).write_text(
        '{"stage": "probe:lie", "outputs": {"n": {"path": "n.txt", "sha256": "%s", "size_bytes": 1}}}' % digest)
    os._exit(0)
"""


class Store(dict[str, Any]):
    """Stand in for the task's state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "process")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    code = tmp_path / "workspace" / "code"
    code.mkdir(parents=True)
    (code / "probe.py").write_text(CODE)
    yield tmp_path
    runner = choose_runner(Isolation.PROCESS, settings())
    for left in runner.leftovers():
        runner.kill(left["id"])
    settings.cache_clear()


def context(store: Store | None = None, try_number: int = 1, **kwargs: Any) -> Any:
    due = datetime(2026, 3, 1, tzinfo=timezone.utc)
    ti = SimpleNamespace(
        xcom_push=lambda key, value: None,
        dag_id="d",
        task_id="t",
        run_id="r",
        map_index=-1,
        try_number=try_number,
        max_tries=2,
        stats_tags={},
    )
    return {
        "ti": ti,
        "run_id": "manual__2026",
        "dag_run": SimpleNamespace(run_after=due),
        "params": {},
        "task_state_store": Store() if store is None else store,
        **kwargs,
    }


def operator(function: str, kind: type[StageOperator] = StageOperator, **kwargs: Any) -> Any:
    return kind(task_id="t", stage=f"probe:{function}", model="undeclared", inputs={"code": "code"}, **kwargs)


def jobs() -> list[dict[str, str]]:
    return choose_runner(Isolation.PROCESS, settings()).leftovers()


def test_it_returns_the_report_and_outputs_below_the_workspace_and_leaves_no_job(home: Path) -> None:
    store = Store()
    answer = operator("count").execute(context(store))
    assert answer["report"]["as_of"] == "2026-03-01 00:00:00+00:00"
    assert (home / "workspace" / answer["outputs"]["n"]["path"]).read_text() == "1"
    assert store == {}
    assert jobs() == []


def test_the_answer_is_kept_as_evidence_before_it_is_judged(home: Path) -> None:
    class Judging(StageOperator):
        def conclude(self, context: Any, result: Any, folder: Any) -> dict[str, Any]:
            raise AirflowSkipException(sorted(path.name for path in folder.path.glob("*.result.json"))[0])

    with pytest.raises(AirflowSkipException, match=r"t\.result\.json"):
        operator("count", Judging).execute(context())
    assert jobs() == []


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


def interrupted(store: Store, stage_params: dict[str, Any]) -> None:
    """Do what a worker does that is killed while it watches."""
    task = operator("slow", stage_params=stage_params)
    task._attempt = task._plan(context(store))
    store.set(task.external_id_key, task.submit_job(context(store)))


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


def test_a_refusal_is_not_tried_again_and_names_the_field() -> None:
    with pytest.raises(StageRefused, match=r"\(data.target\): column 'up' is all null") as refused:
        operator("refuse").execute(context())
    assert isinstance(refused.value, AirflowFailException)
    assert jobs() == []


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


@pytest.mark.parametrize("value", ["../outside", "/etc/passwd", "nowhere", {"path": "code"}, 7])
def test_inputs_stay_in_the_workspace(value: Any) -> None:
    task = operator("count")
    task.inputs = {"code": value}
    with pytest.raises(InputUnusable, match="'code'"):
        task.execute(context())


def test_a_typing_error_in_the_model_of_a_built_in_stage_is_named() -> None:
    with pytest.raises(UnknownModel, match="electricty"):
        StageOperator(task_id="t", stage="train", model="electricty").execute(context())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {
                "params": {"as_of": "2026-02-01T00:00:00Z"},
                "data_interval_end": datetime(2026, 1, 2, tzinfo=timezone.utc),
            },
            2,
        ),
        ({"params": {"as_of": None}, "data_interval_end": datetime(2026, 1, 2, tzinfo=timezone.utc)}, 1),
        ({"logical_date": datetime(2026, 4, 2, tzinfo=timezone.utc)}, 4),
        ({}, 3),
    ],
)
def test_a_run_looks_from_its_form_then_its_interval_then_when_it_was_due(given: dict[str, Any], expected: int) -> None:
    assert as_of(context(**given)).month == expected


def test_an_as_of_that_is_no_time_is_named() -> None:
    with pytest.raises(BadMoment, match="yesterday"):
        as_of(context(params={"as_of": "yesterday"}))


def test_a_run_has_one_folder_whatever_its_id_contains(home: Path) -> None:
    folder = run_folder(context() | {"run_id": "manual__2026-01-01T00:00:00+00:00/../x"}, "m")
    assert folder.path.parent == home / "workspace" / "m"


def test_it_serialises_in_a_dag_mapped_and_unmapped() -> None:
    with DAG(dag_id="d", schedule=None) as dag:
        operator("count")
        StageOperator.partial(task_id="m", stage="probe:slow", model="m").expand(stage_params=[{"seconds": 0}])
    assert json.dumps(DagSerialization.to_dict(dag))
