"""Take a model back to what served before."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from understudy.contract.by import By
from understudy.contract.errors import UnknownModel
from understudy.contract.words import Change
from understudy.hooks.connect import connect
from understudy.hooks.errors import Refused
from understudy.hooks.known_models import refuse_unknown
from understudy.hooks.rollback import plan_rollback, rollback
from understudy.operators.alerting import tell_now
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.errors import RollbackRefused
from understudy.operators.handover import Deployed
from understudy.operators.problem import telling
from understudy.operators.run_context import UnknownField, airflow_run, require_known_fields, run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

PREVIOUS = "previous"


class RollbackOperator(BaseOperator):
    """Restore an earlier champion as a whole bundle; return :class:`Deployed`.

    :param model: the declared model. (templated)
    :param target: ``previous``, or a version that has served before. (templated)
    :param reason: why; kept in the ledger. (templated)
    :param is_dry_run: only say what would happen. (templated)
    """

    template_fields = ("model", "target", "reason", "is_dry_run")
    ui_color = "#fbe3e4"

    def __init__(
        self, *, model: str, reason: str, target: str = PREVIOUS, is_dry_run: "bool | str" = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.target = target
        self.reason = reason
        self.is_dry_run = is_dry_run

    def execute(self, context: "Context") -> dict[str, Any]:
        """Roll back once, however often it is run."""
        with telling(context):
            try:
                return self._do(context)
            except RollbackRefused as refused:
                context["ti"].xcom_push(key=REFUSAL_KEY, value=str(refused))
                raise

    def _do(self, context: "Context") -> dict[str, Any]:
        hooks = connect()
        try:
            require_known_fields(context)
            refuse_unknown(hooks, self.model)
        except (UnknownField, UnknownModel) as mistyped:
            raise RollbackRefused(self.model, str(mistyped)) from mistyped
        target = self._target_version()
        only_say = str(self.is_dry_run).lower() == "true"
        try:
            if only_say:
                plan = plan_rollback(hooks.deployments, hooks.registry, self.model, target)
                self.log.info("dry run: %s", plan.sentence)
                return Deployed(
                    change=Change.ROLLBACK,
                    model=self.model,
                    version=plan.target.version,
                    epoch=plan.epoch,
                    previous_version=plan.champion.version,
                    is_dry_run=True,
                    sentence=plan.sentence,
                ).model_dump(mode="json")
            places, terms = hooks.served_now(self.model)
            record = rollback(
                hooks.deployments,
                hooks.registry,
                self.model,
                target,
                by=By(
                    actor=actor_of(context),
                    reason=self.reason,
                    run=run_folder(context, self.model).run,
                    airflow=airflow_run(context),
                ),
                gateways=places,
                terms=terms,
            )
        except Refused as refused:
            raise RollbackRefused(self.model, str(refused)) from refused
        sentence = f"version {record.champion.version} of {self.model} is champion again, epoch {record.epoch}"
        self.log.info("%s", sentence)
        tell_now(hooks)
        return Deployed.by(record, sentence).model_dump(mode="json")

    def _target_version(self) -> int | None:
        if self.target == PREVIOUS:
            return None
        if not self.target.isdigit():
            raise RollbackRefused(self.model, f"target {self.target!r} is neither {PREVIOUS!r} nor a version number")
        return int(self.target)
