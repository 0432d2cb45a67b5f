"""Do what a person asked for on a form: hold, release, lock, unlock, stop what is tried."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from understudy.contract.by import By
from understudy.contract.errors import UnknownModel
from understudy.contract.words import Action
from understudy.hooks.acts import act
from understudy.hooks.connect import connect
from understudy.hooks.errors import Refused
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.errors import ActRefused
from understudy.operators.problem import telling
from understudy.operators.run_context import UnknownField, airflow_run, require_known_fields, run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

CHAMPION = "champion"


class ActOperator(BaseOperator):
    """Act on a model as the person who triggered the run asked; return :class:`~understudy.hooks.acts.Acted`.

    :param action: what to do; a word of :class:`~understudy.contract.words.Action`.
    :param model: the declared model. (templated)
    :param reason: why; kept in the ledger. (templated)
    :param version: ``champion``, or the version to lock or unlock. (templated)
    :param is_dry_run: only say what would happen. (templated)
    """

    template_fields = ("model", "reason", "version", "is_dry_run")
    ui_color = "#fbf0e3"

    def __init__(
        self,
        *,
        action: str,
        model: str,
        reason: str,
        version: str = CHAMPION,
        is_dry_run: "bool | str" = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.model = model
        self.reason = reason
        self.version = version
        self.is_dry_run = is_dry_run

    def execute(self, context: "Context") -> dict[str, Any]:
        """Act once, however often it is run."""
        with telling(context):
            try:
                return self._do(context)
            except (ActRefused, UnknownField) as refused:
                context["ti"].xcom_push(key=REFUSAL_KEY, value=str(refused))
                raise

    def _do(self, context: "Context") -> dict[str, Any]:
        require_known_fields(context)
        action = Action(self.action)
        try:
            acted = act(
                connect(),
                action,
                self.model,
                self._chosen(action),
                by=By(
                    actor=actor_of(context),
                    reason=self.reason,
                    run=run_folder(context, self.model).run,
                    airflow=airflow_run(context),
                ),
                is_dry_run=str(self.is_dry_run).lower() == "true",
            )
        except (Refused, UnknownModel) as refused:
            raise ActRefused(action, self.model, str(refused)) from refused
        self.log.info("%s%s", "dry run: " if acted.is_dry_run else "", acted.sentence)
        return acted.model_dump(mode="json")

    def _chosen(self, action: Action) -> int | None:
        if self.version == CHAMPION:
            return None
        if not self.version.isdecimal():
            raise ActRefused(action, self.model, f"{self.version!r} is neither {CHAMPION!r} nor a version number.")
        return int(self.version)
