"""Say how a run ended, in one place, for the person who opens it."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TriggerRule

from understudy.contract.breach import breach_in, end_of_breach, has_moved, rollback_in, taken_back
from understudy.contract.errors import UnderstudyError
from understudy.contract.words import EntryKind, Outcome
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.reigns import rollback_after
from understudy.operators.alerting import tell_now
from understudy.operators.approval.approval import AskApprovalOperator
from understudy.operators.cause import cause_of
from understudy.operators.data_check import DataSanityCheckOperator
from understudy.operators.decisions import (
    HELD_BACK_KEY,
    HELD_KEY,
    PROBLEM_KEY,
    REFUSAL_KEY,
    REJECTED_KEY,
    actor_of,
    may_promote,
    param,
)
from understudy.operators.errors import RunEndedBadly
from understudy.operators.handover import Canaried, Concluded, Deployed, Evaluated, Guarded, Rehearsed
from understudy.operators.live.beside import end_of_run
from understudy.operators.live.canary import CanaryOperator
from understudy.operators.live.guard import GuardOperator
from understudy.operators.live.shadow import ShadowDeployOperator
from understudy.operators.promote import PromoteOperator
from understudy.operators.run_context import run_folder
from understudy.operators.run_end import write_end
from understudy.operators.snapshot import SnapshotDataOperator

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

ABOUT_DATA = (SnapshotDataOperator, DataSanityCheckOperator)
BAD_ENDS = {Outcome.DATA_REFUSED, Outcome.PROMOTION_REFUSED, Outcome.ROLLED_BACK, Outcome.BROKEN}
UNKNOWN = "a task broke before the challenger was judged; read the log of the failed task"


class ConcludeOperator(BaseOperator):
    """Record the run's outcome; fail the run where data or promotion were refused or a task broke.

    Runs whatever happened above it. A declined challenger is a good end: the gates did their work.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    :param deployed: what :class:`PromoteOperator` returned. (templated)
    :param rehearsed: what :class:`ShadowDeployOperator` returned, where there is one. (templated)
    :param canaried: what :class:`CanaryOperator` returned, where there is one. (templated)
    :param guarded: what :class:`GuardOperator` returned, where there is one. (templated)
    """

    template_fields = ("evaluated", "deployed", "rehearsed", "canaried", "guarded")
    ui_color = "#f4f0e1"

    def __init__(
        self,
        *,
        model: str,
        evaluated: "XComArg | dict[str, Any] | None",
        deployed: "XComArg | dict[str, Any] | None",
        rehearsed: "XComArg | dict[str, Any] | None" = None,
        canaried: "XComArg | dict[str, Any] | None" = None,
        guarded: "XComArg | dict[str, Any] | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trigger_rule=TriggerRule.ALL_DONE, **kwargs)
        self.model = model
        self.evaluated = evaluated
        self.deployed = deployed
        self.rehearsed = rehearsed
        self.canaried = canaried
        self.guarded = guarded

    def execute(self, context: "Context") -> dict[str, Any]:
        """Tell the ends apart and record which one it was."""
        outcome, sentence = self._outcome(context)
        cause = cause_of(context)
        if cause.events:
            # Nobody can write a run's note from within it; this is what the person on call opens first.
            sentence = f"{sentence}; started by {cause.sentence}"
        evaluated = Evaluated.model_validate(self.evaluated) if self.evaluated else None
        hooks = connect()
        self._end_trial(hooks, context)
        current = hooks.deployments.current(self.model)
        concluded = Concluded(
            outcome=outcome,
            sentence=sentence,
            version=evaluated.bundle.version if evaluated else None,
            champion=current.champion.version if current else None,
        )
        facts = concluded.model_dump(mode="json")
        write_end(hooks.ledger, self.model, run_folder(context, self.model).run, concluded, actor_of(context))
        self.log.info("%s: %s", outcome.upper(), sentence)
        tell_now(hooks)
        if outcome in BAD_ENDS:
            context["ti"].xcom_push(key="return_value", value=facts)
            raise RunEndedBadly(f"{outcome.upper()}: {sentence}")
        return facts

    def _end_trial(self, hooks: Hooks, context: "Context") -> None:
        """End a mirror or a canary that a broken task of this run has left; nobody watches it any more."""
        run = run_folder(context, self.model).run
        try:
            end_of_run(hooks, self.model, run, actor_of(context), "the run that watched it is over")
        except UnderstudyError as problem:
            self.log.warning("what %s tries beside its champion is left to housekeeping: %s", self.model, problem)

    def _outcome(self, context: "Context") -> tuple[Outcome, str]:
        if self.deployed:
            return self._end_of_promotion(Deployed.model_validate(self.deployed), context)
        if self.evaluated:
            return self._end_of(Evaluated.model_validate(self.evaluated), context)
        for task in self._upstream():
            refusal, problem = self._told(context, task)
            held_back = context["ti"].xcom_pull(task_ids=task.task_id, key=HELD_BACK_KEY)
            if held_back:
                return Outcome.HELD_BACK, held_back
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

    def _left_by(self, context: "Context", kind: type[BaseOperator], key: str) -> str | None:
        tasks = (task for task in self._upstream() if isinstance(task, kind))
        left = (context["ti"].xcom_pull(task_ids=task.task_id, key=key) for task in tasks)
        return next((told for told in left if told), None)

    def _told(self, context: "Context", task: "BaseOperator") -> tuple[str | None, str | None]:
        refusal, problem = (
            context["ti"].xcom_pull(task_ids=task.task_id, key=key) for key in (REFUSAL_KEY, PROBLEM_KEY)
        )
        return refusal, problem

    def _end_of(self, evaluated: Evaluated, context: "Context") -> tuple[Outcome, str]:
        version, judgement = f"version {evaluated.bundle.version}", evaluated.judgement
        if evaluated.is_blessed:
            return self._end_of_blessed(version, context)
        if not may_promote(context):
            kind = "dry run" if param(context, "dry_run") else "backfill without promote_past"
            return Outcome.DRY_RUN, f"{kind}: {version} was judged {judgement.verdict}: {judgement.sentence}"
        if evaluated.is_champion_again:
            return Outcome.UNCHANGED, f"{evaluated.why_not_blessed}; nothing was added to its source"
        return Outcome.DECLINED, f"{version} was declined ({judgement.verdict}): {judgement.sentence}"

    def _end_of_blessed(self, version: str, context: "Context") -> tuple[Outcome, str]:
        rehearsed = Rehearsed.model_validate(self.rehearsed) if self.rehearsed else None
        canaried = Canaried.model_validate(self.canaried) if self.canaried else None
        for tried in (rehearsed, canaried):
            if tried is not None and not tried.is_passed:
                return Outcome.DECLINED, f"{version} was declined ({tried.judgement.verdict}): {tried.sentence}"
        kinds: tuple[tuple[type[BaseOperator], str, bool], ...] = (
            (ShadowDeployOperator, "rehearsal", rehearsed is not None),
            (CanaryOperator, "canary", canaried is not None),
            (AskApprovalOperator, "approval", False),
            (PromoteOperator, "promotion", False),
        )
        for kind, what in ((kind, what) for kind, what, is_over in kinds if not is_over):
            held = self._left_by(context, kind, HELD_KEY)
            if held:
                return Outcome.HELD, f"{version} passed and is not promoted: {held}"
            rejected = self._left_by(context, kind, REJECTED_KEY)
            if rejected:
                return Outcome.REJECTED, rejected
            refusal, problem = self._told_by(context, kind)
            if refusal:
                return Outcome.PROMOTION_REFUSED, refusal
            if problem or kind is PromoteOperator:
                return (
                    Outcome.BROKEN,
                    f"{version} is blessed, but its {what} broke ({problem or 'read its log'}); clear that task",
                )
        return Outcome.BROKEN, UNKNOWN

    def _end_of_promotion(self, deployed: Deployed, context: "Context") -> tuple[Outcome, str]:
        guarded = Guarded.model_validate(self.guarded) if self.guarded else None
        canaried = Canaried.model_validate(self.canaried) if self.canaried else None
        was_tried = canaried is not None and not canaried.judgement.rubber_stamped
        promoted = f"{deployed.sentence}; {canaried.sentence}" if canaried and was_tried else deployed.sentence
        if guarded is not None:
            if guarded.rolled_back_to is not None:
                return Outcome.ROLLED_BACK, guarded.sentence
            return self._end_by_others(deployed) or (Outcome.PROMOTED, f"{promoted}; {guarded.sentence}")
        if not any(isinstance(task, GuardOperator) for task in self._upstream()):
            return Outcome.PROMOTED, promoted
        refusal, problem = self._told_by(context, GuardOperator)
        found = self._end_of_breach(context, deployed, refusal or problem)
        if found is not None:
            return found
        why = refusal or problem or "read its log"
        return Outcome.BROKEN, f"{deployed.sentence}, but its probation broke ({why}); look at what serves"

    def _end_by_others(self, deployed: Deployed) -> tuple[Outcome, str] | None:
        """Say that a person or a look took the version back during its probation; None where it serves."""
        back = rollback_after(deployed.epoch, connect().deployments.history(self.model))
        if back is None:
            return None
        why = f"by {back.actor}, {back.reason}"
        return Outcome.ROLLED_BACK, taken_back(deployed.version, back.deployment.champion.version, why)

    def _end_of_breach(self, context: "Context", deployed: Deployed, told: str | None) -> tuple[Outcome, str] | None:
        """Say by the ledger what became of a breach, where the guard that found it could not; None where it found none.

        The guard writes down what it saw before it acts, so one that was killed in between has said enough.
        """
        hooks, run = connect(), run_folder(context, self.model).run
        in_run = hooks.ledger.entries(self.model, [EntryKind.GUARDED, EntryKind.DEPLOYED], run=run)
        breach, back = breach_in(in_run), rollback_in(in_run)
        if breach is None:
            return None
        moved = has_moved(hooks.ledger.entries(self.model, [EntryKind.DEPLOYED], after=breach.seq))
        return end_of_breach(deployed.version, breach, back, moved=moved, told=told)

    def _told_by(self, context: "Context", kind: type[BaseOperator]) -> tuple[str | None, str | None]:
        told = (self._told(context, task) for task in self._upstream() if isinstance(task, kind))
        return next((one for one in told if any(one)), (None, None))
