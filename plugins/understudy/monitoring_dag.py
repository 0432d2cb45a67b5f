"""Build the DAG that watches a champion: wiring only."""

from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule

from understudy.contract.cause import MONITOR_PREFIX
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.run_time import LONGEST_LOOK
from understudy.contract.words import Watched
from understudy.dag_factory import TAG, default_args, moment_param
from understudy.dag_pages import monitoring_page
from understudy.operators.labels import LabelsOperator
from understudy.operators.look.collect import CollectWindowOperator, monitored
from understudy.operators.look.decide import DecideRetrainingOperator
from understudy.operators.look.drift_check import DriftCheckOperator
from understudy.operators.look.quality_check import QualityCheckOperator
from understudy.operators.look.source_rows import CollectSourceRowsOperator
from understudy.operators.run_context import AS_OF


def build_monitoring_dag(spec: ModelSpec) -> DAG:
    """Wire [labels] → window, [source] → drift, quality → decide for one model that declares ``monitor``."""
    monitor, watched = monitored(spec)
    with DAG(
        dag_id=f"{MONITOR_PREFIX}{spec.model}",
        schedule=CronTriggerTimetable(monitor.schedule, timezone=monitor.timezone),
        catchup=False,
        # One look decides by what the one before has seen.
        max_active_runs=1,
        dagrun_timeout=LONGEST_LOOK,
        tags=[TAG, "monitor", spec.owner, *spec.tags],
        doc_md=monitoring_page(spec, monitor, watched),
        description=f"Watch the champion of {spec.model}, and say when it has to be retrained.",
        params={AS_OF: moment_param("As of", "Pretend that it is this time; the run's own time when empty.")},
        default_args=default_args(spec),
        dag_display_name=f"Monitor {spec.model}",
    ) as dag:
        fetches_labels = monitor.labels is not None and watched is Watched.GATEWAY
        window = CollectWindowOperator(
            task_id="window",
            model=spec.model,
            # A look without the newest labels is better than none.
            trigger_rule=TriggerRule.ALL_DONE if fetches_labels else TriggerRule.ALL_SUCCESS,
        )
        if fetches_labels:
            LabelsOperator(task_id="labels", model=spec.model).set_downstream(window)
        source = CollectSourceRowsOperator(task_id="source", model=spec.model, retries=0) if monitor.skew else None
        drift = DriftCheckOperator(
            task_id="drift",
            model=spec.model,
            collected=window.output,
            source=None if source is None else source.output,
            # A look without the source's rows is better than none.
            trigger_rule=TriggerRule.ALL_SUCCESS if source is None else TriggerRule.ALL_DONE,
        )
        quality = QualityCheckOperator(task_id="quality", model=spec.model, collected=window.output)
        decide = DecideRetrainingOperator(
            task_id="decide",
            model=spec.model,
            collected=window.output,
            drift=drift.output,
            quality=quality.output,
        )
        if source is not None:
            source.set_downstream(decide)
    return dag
