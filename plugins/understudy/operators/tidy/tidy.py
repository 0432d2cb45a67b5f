"""Remove what runs leave behind: stages, mirrors and canaries that nobody waits for, killed drills, old run folders."""

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from understudy.hooks.connect import connect
from understudy.hooks.local_runs import has_died
from understudy.operators.other_runs import OtherRuns
from understudy.operators.run_context import as_of
from understudy.operators.stage.attempt import PLACE_LABEL
from understudy.operators.stage.engine_connection import engine_of
from understudy.operators.tidy.housekeeping import reap
from understudy.operators.tidy.killed_drills import clear_after_killed_drills
from understudy.operators.tidy.mirrors import HOUSEKEEPING, end_orphaned_mirrors
from understudy.runners.choose import choose_runner
from understudy.runners.errors import RunnerError
from understudy.runners.protocol import Runner
from understudy.settings import Settings, settings

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context

OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}


class TidyOperator(BaseOperator):
    """Reap orphaned stages, end orphaned mirrors and canaries, clear up after drills, delete old run folders.

    Models, reports, data versions and the ledger live elsewhere and are never touched.
    """

    ui_color = "#eeeeee"

    def execute(self, context: "Context") -> dict[str, Any]:
        """Return what was removed."""
        chosen = settings()
        ti: Any = context["ti"]

        def is_alive(labels: Mapping[str, str]) -> bool:
            if PLACE_LABEL in labels:
                return not has_died(chosen.home, labels["dag_id"], labels[PLACE_LABEL])
            states = ti.get_task_states(
                dag_id=labels["dag_id"], task_ids=[labels["task_id"]], run_ids=[labels["run_id"]]
            )
            index = int(labels["map_index"])
            key = labels["task_id"] if index < 0 else f"{labels['task_id']}_{index}"
            # No such task instance: its run or DAG was deleted, so nobody can come back to it.
            return key in states.get(labels["run_id"], {}) and states[labels["run_id"]][key] not in OVER

        def is_running(dag_id: str, run_id: str) -> bool:
            states = ti.get_task_states(dag_id=dag_id, run_ids=[run_id])
            return any(state not in OVER for state in states.get(run_id, {}).values())

        reaped = [name for runner in runners_of(chosen) for name in reap(runner, is_alive)]
        removed = remove_old_runs(chosen.workspace_dir, as_of(context), chosen.keep_runs)
        hooks = connect()
        ended, left = end_orphaned_mirrors(hooks, as_of(context), is_running)
        left += clear_after_killed_drills(hooks, OtherRuns(ti), HOUSEKEEPING)
        self.log.info("removed %s orphaned stages and %s old run folders", len(reaped), len(removed))
        self.log.info("ended %s mirrors or canaries that nobody watched", len(ended))
        for problem in left:
            self.log.warning("%s", problem)
        return {"stages": reaped, "runs": removed, "mirrors": ended}


def runners_of(chosen: Settings) -> list[Runner]:
    """Give every place where stages may be left: a model may declare another isolation than the deployment's."""
    found = [choose_runner("process", chosen)]
    try:
        found.append(choose_runner("docker", chosen, engine_of(chosen.docker_conn_id)))
    except RunnerError:
        if chosen.isolation == "docker":
            raise
    return found


def remove_old_runs(workspace: Path, now: datetime, keep: "timedelta") -> list[str]:
    """Delete the run folders in which nothing was written for longer than ``keep``; return their names."""
    removed = []
    for run in sorted(workspace.glob("[!.]*/*")):  # hidden folders belong to the runners
        newest = max((entry.stat().st_mtime for entry in (run, *run.iterdir())), default=0.0) if run.is_dir() else None
        if newest is not None and now - datetime.fromtimestamp(newest, tz=timezone.utc) > keep:
            shutil.rmtree(run)
            removed.append(f"{run.parent.name}/{run.name}")
    return removed
