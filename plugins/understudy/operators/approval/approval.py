"""Ask people whether a blessed challenger may become champion."""

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.exceptions import HITLTriggerEventError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from understudy.contract.approval import APPROVE, REASON, REJECT, Answered, Question, read_answer, rejection
from understudy.contract.declaration.promotion import PromotionSpec
from understudy.contract.load import load_model
from understudy.contract.reason import REASON_LIMIT, SAYS_SOMETHING
from understudy.contract.words import Answer, PromotionMode
from understudy.hooks.approvals import answers, ask, record_answer
from understudy.hooks.connect import connect
from understudy.hooks.errors import ModelHeld
from understudy.operators.alerting import tell_now
from understudy.operators.approval.standing_answer import StandingAnswerTrigger
from understudy.operators.approval.text import body_of
from understudy.operators.decisions import REFUSAL_KEY, REJECTED_KEY, actor_of, is_without_scheduler
from understudy.operators.errors import ApprovalRefused, PromotionRefused
from understudy.operators.handover import Evaluated
from understudy.operators.live.beside import end_of_run
from understudy.operators.live.held import held_back
from understudy.operators.problem import telling
from understudy.operators.run_context import run_folder
from understudy.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from understudy.hooks.connect import Hooks

AT_LEAST = timedelta(seconds=1)
# Not the task's own params: Airflow checks those before a task runs, and fills them from what the run was started with.
FORM = Param(
    None,
    type="string",
    minLength=1,
    maxLength=REASON_LIMIT,
    pattern=SAYS_SOMETHING,
    title="Reason",
    description="Why, for either answer; kept in the ledger, with your name.",
)
SHOWN = "question"
"""The key under which the task's state store keeps the question that Airflow shows."""


class AskApprovalOperator(HITLOperator):
    """Wait, without a worker, for a person's answer; return :class:`~understudy.contract.approval.Answered`.

    The model's ``promotion`` section says who may answer and until when; no answer in time is a no. The answer is in
    the ledger before anything else happens. A rejection skips the promotion. An answer that does not count (without a
    reason, or the same person's twice) is recorded and asked for again. Whatever Airflow makes of the task meanwhile, a
    question that stands there is not put anew: that would make Airflow forget an answer that the ledger lacks.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    :param person: 1 for the first who is asked, 2 for the second.
    """

    template_fields = ("evaluated",)
    ui_color = "#fdf3d8"

    def __init__(self, *, model: str, evaluated: "XComArg | dict[str, Any]", person: int = 1, **kwargs: Any) -> None:
        super().__init__(
            subject=f"May the challenger of {model} become champion?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            **kwargs,
        )
        self.model = model
        self.evaluated = evaluated
        self.person = person

    def execute(self, context: "Context") -> Any:
        """Ask, unless there is nothing to ask or somebody has answered."""
        with telling(context):
            evaluated = Evaluated.model_validate(self.evaluated)
            version = evaluated.bundle.version
            if not evaluated.is_blessed:
                raise AirflowSkipException(evaluated.why_not_blessed)
            promotion, hooks = self._promotion(context), connect()
            if promotion.mode is PromotionMode.AUTO:
                return {"sentence": "model.yaml asks for no approval"}
            answered = self._standing_answer(context, hooks, evaluated)
            if answered is not None:
                return self._act_on(context, answered)
            if is_without_scheduler(context):
                raise self._nobody_to_ask(context, version)
            hold = hooks.deployments.held(self.model)
            if hold is not None:
                raise held_back(context, version, ModelHeld(self.model, hold.actor, hold.at, hold.reason))
            # Nobody watches a canary while people think about it.
            run, actor = run_folder(context, self.model).run, actor_of(context)
            end_of_run(hooks, self.model, run, actor, "it waits for an approval")
            question = self._asked(context, hooks, promotion, evaluated)
            if context["task_state_store"].get(SHOWN) == question.model_dump(mode="json"):
                # Airflow would resume at once a task whose question has an answer, and take it for lost again.
                self.defer(trigger=StandingAnswerTrigger(str(context["ti"].id)), method_name="execute_again")
            self._show(context, hooks, question)
            raise self._waiting(question)

    def execute_again(self, context: "Context", event: dict[str, Any]) -> Any:
        """Take the answer that an earlier try could not take, or wait on."""
        if event:
            return self.execute_complete(context, event)
        with telling(context):
            evaluated = Evaluated.model_validate(self.evaluated)
            raise self._waiting(self._asked(context, connect(), self._promotion(context), evaluated))

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> Any:
        """Record the answer; let the challenger pass, stop it, or ask again."""
        with telling(context):
            if event.get("error_type") not in {None, "timeout"}:
                raise HITLTriggerEventError(event)
            evaluated, promotion, hooks = Evaluated.model_validate(self.evaluated), self._promotion(context), connect()
            run = run_folder(context, self.model).run
            question = self._asked(context, hooks, promotion, evaluated)
            answered = read_answer(event, question, promotion, answers(hooks.ledger, self.model, run), _now())
            record_answer(hooks.ledger, self.model, run, answered)
            if answered.answer is Answer.VOID:
                self.log.warning("an answer that does not count, so it is asked again: %s", answered.reason)
                self._show(context, hooks, question)
                raise self._waiting(question)
            return self._act_on(context, answered)

    def _act_on(self, context: "Context", answered: Answered) -> dict[str, Any]:
        if answered.answer is Answer.REJECTED:
            context["ti"].xcom_push(key=REJECTED_KEY, value=rejection(answered))
            raise ApprovalRefused(rejection(answered))
        self.log.info("version %s was approved by %s: %s", answered.version, answered.who, answered.reason)
        return answered.model_dump(mode="json")

    def _standing_answer(self, context: "Context", hooks: "Hooks", evaluated: Evaluated) -> Answered | None:
        """Give a person's answer to an earlier try; a time that ran out counts for its own try only."""
        for answered in reversed(answers(hooks.ledger, self.model, run_folder(context, self.model).run)):
            is_mine = answered.is_about(evaluated.bundle.version, evaluated.judgement.digest())
            if (
                is_mine
                and answered.person == self.person
                and answered.by is not None
                and answered.answer is not Answer.VOID
            ):
                return answered
        return None

    def _promotion(self, context: "Context") -> PromotionSpec:
        folder = run_folder(context, self.model)
        return folder.freeze_spec(load_model(settings().models_dir, self.model)).promotion

    def _asked(self, context: "Context", hooks: "Hooks", promotion: PromotionSpec, evaluated: Evaluated) -> Question:
        """Record the question, or give the one that waits already."""
        now = _now()
        question = Question(
            version=evaluated.bundle.version,
            person=self.person,
            until=now + promotion.timeout,
            remind_at=now + promotion.reminds_after,
            approvers=promotion.approvers,
            judgement_sha256=evaluated.judgement.digest(),
            dag_id=context["ti"].dag_id,
            run_id=context["ti"].run_id,
            task_id=self.task_id,
        )
        return ask(hooks.ledger, self.model, run_folder(context, self.model).run, question, actor_of(context))

    def _show(self, context: "Context", hooks: "Hooks", question: Question) -> None:
        """Put the question into Airflow, which forgets what was answered before."""
        run = run_folder(context, self.model).run
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=self.options,
            subject=f"May version {question.version} of {self.model} become champion?",
            body=body_of(hooks.ledger, self.model, run, question),
            defaults=self.defaults,
            multiple=False,
            params={REASON: FORM.serialize()},
            assigned_users=[{"id": approver, "name": approver} for approver in question.approvers],
        )
        context["task_state_store"].set(SHOWN, question.model_dump(mode="json"))
        tell_now(hooks)

    def _waiting(self, question: Question) -> TaskAwaitingInput:
        """Give what frees the worker until somebody answers."""
        self.log.info("version %s waits for an approval until %s", question.version, question.until)
        return TaskAwaitingInput(method_name="execute_complete", timeout=max(question.until - _now(), AT_LEAST))

    def _nobody_to_ask(self, context: "Context", version: int) -> PromotionRefused:
        why = (
            "model.yaml asks for an approval, and a run without a scheduler has nobody to ask; "
            f"retrain {self.model} on a running Airflow."
        )
        context["ti"].xcom_push(key=REFUSAL_KEY, value=why)
        return PromotionRefused(self.model, version, why)


def _now() -> datetime:
    # Whatever time a run pretends, people answer in real time.
    return datetime.now(timezone.utc)
