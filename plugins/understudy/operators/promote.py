"""Move the champion pointer forward, by compare-and-swap."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.release import Blessing
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.errors import Refused
from understudy.hooks.promotion import promote
from understudy.operators.decisions import REFUSAL_KEY, actor_of, reason_of
from understudy.operators.errors import PromotionRefused
from understudy.operators.handover import Deployed, Evaluated
from understudy.operators.problem import telling
from understudy.operators.run_context import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class PromoteOperator(BaseOperator):
    """Make a blessed challenger the champion; skip one that was declined; return :class:`Deployed`.

    Refuses a blessing that names another champion than the one that serves now, a denied digest and a locked champion.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    """

    template_fields = ("evaluated",)
    ui_color = "#e3f4e1"

    def __init__(self, *, model: str, evaluated: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.evaluated = evaluated

    def execute(self, context: "Context") -> dict[str, Any]:
        """Promote once, however often it is run."""
        with telling(context):
            return self._promote(context)

    def _promote(self, context: "Context") -> dict[str, Any]:
        evaluated = Evaluated.model_validate(self.evaluated)
        if not evaluated.is_blessed:
            raise AirflowSkipException(
                f"version {evaluated.bundle.version} is not blessed: {evaluated.judgement.sentence}"
            )
        hooks = connect()
        run = run_folder(context, self.model).run
        blessing = Blessing(
            challenger=evaluated.bundle,
            champion_version=evaluated.champion_version,
            champion_epoch=evaluated.champion_epoch,
            judgement_sha256=evaluated.judgement.digest(),
            rubber_stamped=evaluated.judgement.rubber_stamped,
        )
        try:
            record = promote(
                hooks.deployments, hooks.registry, blessing, actor=actor_of(context), reason=reason_of(context), run=run
            )
        except Refused as refused:
            hooks.ledger.append_once(
                f"{self.model}/{run}/promotion_refused/{evaluated.bundle.version}",
                self.model,
                EntryKind.REFUSED,
                actor_of(context),
                str(refused),
                run,
                {"version": evaluated.bundle.version},
            )
            context["ti"].xcom_push(key=REFUSAL_KEY, value=str(refused))
            raise PromotionRefused(self.model, evaluated.bundle.version, str(refused)) from refused
        sentence = f"version {record.champion.version} of {self.model} is champion, epoch {record.epoch}"
        self.log.info("%s", sentence)
        return Deployed.by(record, sentence).model_dump(mode="json")
