"""Say how a run ended, in one place, for the person who opens it."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TriggerRule

from understudy.contract.words import EntryKind, Outcome
from understudy.hooks.connect import connect
from understudy.operators.data_check import DataSanityCheckOperator
from understudy.operators.decisions import PROBLEM_KEY, REFUSAL_KEY, actor_of, param
from understudy.operators.errors import RunEndedBadly
from understudy.operators.handover import Concluded, Deployed, Evaluated
from understudy.operators.promote import PromoteOperator
from understudy.operators.run_context import run_folder
from understudy.operators.snapshot import SnapshotDataOperator

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

ABOUT_DATA = (SnapshotDataOperator, DataSanityCheckOperator)
BAD_ENDS = {Outcome.DATA_REFUSED, Outcome.PROMOTION_REFUSED, Outcome.BROKEN}
UNKNOWN = "a task broke before the challenger was judged; read the log of the failed task"


class ConcludeOperator(BaseOperator):
    """Record the run's outcome; fail the run where data or promotion were refused or a task broke.

    Runs whatever happened above it. A declined challenger is a good end: the gates did their work.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    :param deployed: what :class:`PromoteOperator` returned. (templated)
    """

    template_fields = ("evaluated", "deployed")
    ui_color = "#f4f0e1"

    def __init__(
        self,
        *,
        model: str,
        evaluated: "XComArg | dict[str, Any] | None",
        deployed: "XComArg | dict[str, Any] | None",
        **kwargs: Any,
    ) -> None:
        super().__init__(trigger_rule=TriggerRule.ALL_DONE, **kwargs)
        self.model = model
        self.evaluated = evaluated
        self.deployed = deployed

    def execute(self, context: "Context") -> dict[str, Any]:
        """Tell the ends apart and record which one it was."""
        outcome, sentence = self._outcome(context)
        evaluated = Evaluated.model_validate(self.evaluated) if self.evaluated else None
        hooks = connect()
        current = hooks.deployments.current(self.model)
        concluded = Concluded(
            outcome=outcome,
            sentence=sentence,
            version=evaluated.bundle.version if evaluated else None,
            champion=current.champion.version if current else None,
        )
        facts = concluded.model_dump(mode="json")
        run = run_folder(context, self.model).run
        # The outcome is part of the key: clearing a broken task and succeeding is a second, true end of the same run.
        hooks.ledger.append_once(
            f"{self.model}/{run}/concluded/{outcome}/{concluded.version}",
            self.model,
            EntryKind.CONCLUDED,
            actor_of(context),
            sentence,
            run,
            facts,
        )
        self.log.info("%s: %s", outcome.upper(), sentence)
        if outcome in BAD_ENDS:
            context["ti"].xcom_push(key="return_value", value=facts)
            raise RunEndedBadly(f"{outcome.upper()}: {sentence}")
        return facts

    def _outcome(self, context: "Context") -> tuple[Outcome, str]:
        if self.deployed:
            return Outcome.PROMOTED, Deployed.model_validate(self.deployed).sentence
        if self.evaluated:
            return self._end_of(Evaluated.model_validate(self.evaluated), context)
        for task in self._upstream():
            refusal, problem = self._told(context, task)
            if refusal:
                is_about_data = isinstance(task, ABOUT_DATA)
                sentence = f"{task.task_id} was refused: {refusal}"
                return (Outcome.DATA_REFUSED if is_about_data else Outcome.BROKEN), sentence
            if problem:
                return Outcome.BROKEN, f"{task.task_id} broke: {problem}"
        return Outcome.BROKEN, UNKNOWN

    def _upstream(self) -> "list[BaseOperator]":
        """List what ran before, in its order; a mapped task's copies speak for themselves."""
        mine, dag = self.get_flat_relative_ids(upstream=True), self.get_dag()
        in_order = dag.topological_sort() if dag else ()
        return [task for task in in_order if task.task_id in mine and isinstance(task, BaseOperator)]

    def _told(self, context: "Context", task: "BaseOperator") -> tuple[str | None, str | None]:
        refusal, problem = (
            context["ti"].xcom_pull(task_ids=task.task_id, key=key) for key in (REFUSAL_KEY, PROBLEM_KEY)
        )
        return refusal, problem

    def _end_of(self, evaluated: Evaluated, context: "Context") -> tuple[Outcome, str]:
        version, judgement = f"version {evaluated.bundle.version}", evaluated.judgement
        if evaluated.is_blessed:
            told = [self._told(context, task) for task in self._upstream() if isinstance(task, PromoteOperator)]
            refusal, problem = told[0] if told else (None, None)
            broken = f"{version} is blessed, but its promotion broke ({problem or 'read its log'}); clear that task"
            return (Outcome.PROMOTION_REFUSED, refusal) if refusal else (Outcome.BROKEN, broken)
        if param(context, "dry_run"):
            return Outcome.DRY_RUN, f"dry run: {version} was judged {judgement.verdict}: {judgement.sentence}"
        return Outcome.DECLINED, f"{version} was declined ({judgement.verdict}): {judgement.sentence}"
