"""Build the DAG that replays retraining policies over a model's past: wiring only."""

from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import DAG, Param, TriggerRule

from understudy.contract.words import ReplayPart, Takeover
from understudy.dag_factory import START, TAG, moment_param, retry_policy
from understudy.operation_pages import replay_page
from understudy.operators.replay.replay import (
    DealReplayOperator,
    ReplayOperator,
    ReplayReportOperator,
    ReplayRowsOperator,
)
from understudy.operators.sweep.broken_requests import REPLAY

MODEL = "{{ params.model }}"
AT_ONCE = 16
"""How many containers of one replay run at once; the pools of the deployment may allow fewer."""


def build_replay_dag(models: Sequence[str]) -> DAG:
    """Wire rows → trainings → walks → report."""
    with DAG(
        dag_id=REPLAY,
        schedule=None,
        start_date=START,
        catchup=False,
        max_active_runs=1,  # two replays of one model would work on the same trainings
        tags=[TAG, "operations"],
        doc_md=replay_page(),
        description="Try retraining policies on a model's own past and recommend one.",
        default_args={"owner": TAG, "retries": 2, "retry_delay": timedelta(seconds=20), "retry_policy": retry_policy()},
        params={
            "model": Param(type="string", enum=list(models), title="Model")
            if models
            else Param(type="string", title="Model"),
            "policies": Param(
                "",
                type="string",
                title="Policies",
                description="Separated by commas: never, every, schedule:7d, drift, quality, hybrid, hybrid:8w; "
                "a usual choice when empty.",
            ),
            "start": moment_param("From", "When the first training is; chosen from the history when empty."),
            "end": moment_param("To", "When the replay ends; the newest row when empty."),
            "step": Param(
                None,
                type=["null", "string"],
                pattern=r"^\d{1,6}(s|m|h|d|w)$",
                title="Step",
                description="How often policies decide, for example 7d; chosen from the history when empty.",
            ),
            "takeover": Param(
                Takeover.GATES.value,
                type="string",
                enum=[word.value for word in Takeover],
                title="Takeover",
                description="Whether the declared gates decide about each challenger, or it always takes over.",
            ),
        },
    ) as dag:
        rows = ReplayRowsOperator(task_id="rows", model=MODEL)
        trainings = DealReplayOperator(task_id="trainings", model=MODEL, rows=rows.output, part=ReplayPart.TRAIN)
        train = ReplayOperator.partial(
            task_id="train", model=MODEL, rows=rows.output, part=ReplayPart.TRAIN, max_active_tis_per_dagrun=AT_ONCE
        ).expand(piece=trainings.output)
        policies = DealReplayOperator(task_id="policies", model=MODEL, rows=rows.output, part=ReplayPart.WALK)
        walk = ReplayOperator.partial(
            task_id="walk",
            model=MODEL,
            rows=rows.output,
            part=ReplayPart.WALK,
            max_active_tis_per_dagrun=AT_ONCE,
            # Where every training is remembered, there is nothing to train, and "train" is skipped.
            trigger_rule=TriggerRule.NONE_FAILED,
        ).expand(piece=policies.output)
        report = ReplayReportOperator(
            task_id="report",
            model=MODEL,
            rows=rows.output,
            walked=walk.output,
            trained=train.output,
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        train >> walk >> report
    return dag
