"""Stages that do what stages should not, and the operator that runs them as processes."""

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from understudy.contract.words import Isolation
from understudy.operators.stage.stage import StageOperator
from understudy.runners.choose import choose_runner
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


def interrupted(store: Store, stage_params: dict[str, Any]) -> None:
    """Do what a worker does that is killed while it watches."""
    task = operator("slow", stage_params=stage_params)
    task._attempt = task._plan(context(store))
    store.set(task.external_id_key, task.submit_job(context(store)))
