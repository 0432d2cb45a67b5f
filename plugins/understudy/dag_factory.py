"""Build DAGs from declarations: wiring, retry policy and the page that explains them; no logic of its own.

Airflow reads this module's callers in safe mode, which looks for the words "airflow" and "dag".
"""

import re
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    TriggerRule,
)

from understudy.contract.approval import TASKS
from understudy.contract.cause import RETRAIN_PREFIX, retrain_uri
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.errors import SpecProblem, UnderstudyError, UnknownModel
from understudy.contract.replay.plan import ReplayImpossible
from understudy.contract.replay.policies import UnknownPolicy
from understudy.contract.run_time import longest_run
from understudy.contract.target_class import TargetUnusable
from understudy.dag_pages import broken_page, retraining_page
from understudy.hooks.data.sources import SourceOutOfBounds, SourceUnsupported
from understudy.hooks.errors import EpochConflict, LedgerDamaged, Refused
from understudy.hooks.places.errors import TargetIsAhead
from understudy.hooks.places.serving_terms import NotServed
from understudy.hooks.search import EveryTrialLost, rounds
from understudy.operators.approval.approval import AskApprovalOperator
from understudy.operators.broken_spec import BrokenSpecOperator
from understudy.operators.conclude import ConcludeOperator
from understudy.operators.data_check import DataSanityCheckOperator
from understudy.operators.evaluate import EvaluateVsChampionOperator
from understudy.operators.live.canary import CanaryOperator
from understudy.operators.live.guard import GuardOperator
from understudy.operators.live.shadow import ShadowDeployOperator
from understudy.operators.promote import PromoteOperator
from understudy.operators.run_context import AS_OF
from understudy.operators.snapshot import SnapshotDataOperator
from understudy.operators.train import TrainOperator
from understudy.operators.trial import AskTrialsOperator, TrialOperator
from understudy.runners.errors import (
    GpuUnavailable,
    ImageWithoutEntryPoint,
    LinkLeadsOut,
    ResultTooLarge,
    TooManyCpus,
)

TAG = "understudy"
MOMENT = (
    r"^(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.(\d{3}|\d{6}))?)?(Z|[+-]\d{2}:\d{2})?)?)?$"
)
"""A day, or a moment of it, as ISO 8601 writes them; or nothing."""
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
REASON_LIMIT = 2000
UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
DAG_ID_LIMIT = 200
PATIENCE_WITH_PEOPLE: dict[str, Any] = {"retries": 10, "retry_delay": timedelta(seconds=5)}
"""A person's answer outlives half an hour without a ledger. It also outlives Airflow's scheduler, which takes a task
for lost that was answered, and so queued again, before the scheduler noticed that the process which asked is gone."""
HEALS = (EpochConflict, TargetIsAhead)
"""Refusals of what somebody else has overtaken: another try looks at what serves now and decides anew."""
# Fails now whatever the run itself would bring along again: its declaration, its image, what it was asked for. Not here
# is what others may put right while a task waits for its next try: a late file, a full disk, a network or an image that
# the engine lacks (a rollout declares an image minutes before the engine has pulled it), a key, a right, a service.
NEVER_HEALS: dict[str, tuple[type[UnderstudyError], ...]] = {
    "the model is not declared": (UnknownModel,),
    "model.yaml cannot be used": (SpecProblem, TargetUnusable, NotServed),
    "the source lies where models may not read": (SourceOutOfBounds,),
    "nothing of ours fetches the source": (SourceUnsupported,),
    # Its trials are over before the search asks for the best one, and only a person's clearing starts them again.
    "the trials of the search are over": (EveryTrialLost,),
    "the image cannot run a stage": (ImageWithoutEntryPoint,),
    "the engine's machine has not what the declaration asks for": (GpuUnavailable, TooManyCpus),
    "the stage would be given, or would answer, the same again": (LinkLeadsOut, ResultTooLarge),
    "the replay cannot be done as asked": (ReplayImpossible, UnknownPolicy),
    "the ledger has to be restored": (LedgerDamaged,),
    "the record of what serves says no": (Refused,),
}
"""Why trying again cannot help, and what says so."""


def retry_policy() -> ExceptionRetryPolicy:
    """Sort failures by what the scheduler must do: what cannot heal fails now, everything broken is tried again.

    Refusals that are raised as such and memory kills need no rule: their exceptions already forbid a retry.
    """
    # The first rule that fits decides, so that exceptions from a base class's rule come before it.
    healing = [RetryRule(exception=[*HEALS], action=RetryAction.DEFAULT, reason="another try reads the newer record")]
    return ExceptionRetryPolicy(
        rules=healing
        + [
            RetryRule(exception=[*found], action=RetryAction.FAIL, reason=reason)
            for reason, found in NEVER_HEALS.items()
        ]
    )


def moment_param(title: str, description: str) -> Param:
    """Describe a field for a time; Airflow's form has a picker for it, and only the pattern refuses what is none."""
    return Param(
        None, type=["null", "string"], format="date-time", pattern=MOMENT, title=title, description=description
    )


def retraining_params() -> dict[str, Param]:
    """Describe the form of a manual run; a scheduled run uses the defaults."""
    return {
        "reason": Param(
            "", type="string", maxLength=REASON_LIMIT, title="Reason", description="Why this run; kept in the ledger."
        ),
        AS_OF: moment_param("As of", "Pretend that it is this time; the run's own time when empty."),
        "full_search": Param(
            False,
            type="boolean",
            title="Full search",
            description="Spend the whole search budget instead of starting from the champion's hyperparameters.",
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Do everything but promote."),
        "promote_past": Param(
            False,
            type="boolean",
            title="Promote past models",
            description="Let a backfill promote what it trains; without it, backfills are judged and recorded only.",
        ),
    }


def build_retraining_dag(spec: ModelSpec) -> DAG:
    """Wire snapshot → check → search → train → evaluate → [shadow, canary, approve] → promote → [guard] → outcome."""
    with DAG(
        dag_id=f"{RETRAIN_PREFIX}{spec.model}",
        schedule=_retraining_schedule(spec),
        # No start date: a model that is declared on a Tuesday waits for Monday instead of running at once.
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=longest_run(spec),
        tags=[TAG, "retrain", spec.owner, *spec.tags],
        doc_md=retraining_page(spec),
        description=spec.description or f"Retrain {spec.model} and promote it only if it is better.",
        params=retraining_params(),
        default_args=default_args(spec),
        dag_display_name=f"Retrain {spec.model}",
    ) as dag:
        snapshot = SnapshotDataOperator(task_id="snapshot", model=spec.model, skip_on_refusal=True)
        check = DataSanityCheckOperator(
            task_id="check", model=spec.model, snapshot=snapshot.output, skip_on_refusal=True
        )
        # A lost trial must not lose the search: what follows runs whatever the trials did and looks at the data itself.
        trials = _search(spec, check)
        train = TrainOperator(
            task_id="train",
            model=spec.model,
            data=check.output,
            trials=trials,
            trigger_rule=TriggerRule.ALL_DONE if trials else TriggerRule.ALL_SUCCESS,
        )
        evaluate = EvaluateVsChampionOperator(task_id="evaluate", model=spec.model, trained=train.output)
        shadow = (
            ShadowDeployOperator(task_id="shadow", model=spec.model, evaluated=evaluate.output) if spec.shadow else None
        )
        canary = CanaryOperator(task_id="canary", model=spec.model, evaluated=evaluate.output) if spec.canary else None
        if shadow and canary:
            shadow >> canary
        questions = _questions(spec, evaluate)
        promote = PromoteOperator(
            task_id="promote",
            model=spec.model,
            evaluated=evaluate.output,
            rehearsed=shadow.output if shadow else None,
            canaried=canary.output if canary else None,
        )
        for before, after in pairwise((canary or shadow or evaluate, *questions, promote)):
            before >> after
        guard = GuardOperator(task_id="guard", model=spec.model, deployed=promote.output) if spec.guard else None
        ConcludeOperator(
            task_id="outcome",
            model=spec.model,
            evaluated=evaluate.output,
            deployed=promote.output,
            rehearsed=shadow.output if shadow else None,
            canaried=canary.output if canary else None,
            guarded=guard.output if guard else None,
        )
    return dag


def _retraining_schedule(spec: ModelSpec) -> Any:
    """Start a retraining by the clock, where the model declares when, and by events on its asset in any case."""
    asked = Asset(retrain_uri(spec.model))
    if spec.retrain.schedule is None:
        return [asked]
    timetable = CronTriggerTimetable(spec.retrain.schedule, timezone=spec.retrain.timezone)
    return AssetOrTimeSchedule(timetable=timetable, assets=[asked])


def _questions(spec: ModelSpec, evaluate: EvaluateVsChampionOperator) -> list[AskApprovalOperator]:
    """Ask as many persons as the declaration says, one after the other."""
    return [
        AskApprovalOperator(
            task_id=task_id, model=spec.model, evaluated=evaluate.output, person=person, **PATIENCE_WITH_PEOPLE
        )
        for person, task_id in enumerate(TASKS[: spec.promotion.persons], start=1)
    ]


def _search(spec: ModelSpec, check: DataSanityCheckOperator) -> list[Any]:
    outputs: list[Any] = []
    for number, _ in enumerate(rounds(spec.train), start=1):
        ask = AskTrialsOperator(
            task_id=f"ask_{number}",
            model=spec.model,
            data=check.output,
            round_number=number,
            previous=outputs[-1] if outputs else None,
            trigger_rule=TriggerRule.ALL_DONE if outputs else TriggerRule.ALL_SUCCESS,
        )
        trial = TrialOperator.partial(
            task_id=f"trial_{number}",
            model=spec.model,
            data=check.output,
            max_active_tis_per_dagrun=spec.train.parallelism,
        ).expand(trial=ask.output)
        outputs.append(trial.output)
    return outputs


def default_args(spec: ModelSpec) -> dict[str, Any]:
    """Give what all tasks of a model have in common."""
    return {
        "owner": spec.owner,
        "retries": spec.retrain.retries,
        "retry_delay": timedelta(seconds=20),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": retry_policy(),
    }


def build_broken_dag(model: str, problem: SpecProblem, prefix: str = RETRAIN_PREFIX) -> DAG:
    """Stand in for a model whose declaration cannot be used: red once a day until it is repaired."""
    with DAG(
        # A folder may be called what no DAG may.
        dag_id=f"{prefix}{UNFIT.sub('_', model)[:DAG_ID_LIMIT]}",
        schedule="@daily",
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=[TAG, prefix.rstrip("_"), "broken-spec"],
        doc_md=broken_page(model, problem),
        dag_display_name=f"{prefix.rstrip('_').capitalize()} {model} (broken declaration)",
        description=str(problem),
    ) as dag:
        BrokenSpecOperator(task_id="broken_spec", problem=str(problem), retries=0)
    return dag


def model_of(dag_id: str | None, prefix: str = RETRAIN_PREFIX) -> str | None:
    """Name the model that a DAG with this prefix belongs to; None for any other DAG."""
    return dag_id.removeprefix(prefix) if dag_id and dag_id.startswith(prefix) else None


def declaration_of(path: Path) -> str:
    """Name the model that a declaration's folder stands for."""
    return path.parent.name
