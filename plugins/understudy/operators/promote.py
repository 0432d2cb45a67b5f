"""Move the champion pointer forward, by compare-and-swap."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.approval import approval, missing_approval
from understudy.contract.by import By
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.load import load_model
from understudy.contract.release import Blessing
from understudy.hooks.approvals import answers
from understudy.hooks.connect import connect
from understudy.hooks.errors import ModelHeld, Refused
from understudy.hooks.promotion import promote
from understudy.operators.decisions import actor_of, reason_of
from understudy.operators.errors import PromotionRefused
from understudy.operators.handover import Canaried, Deployed, Evaluated, Rehearsed
from understudy.operators.live.beside import end_of_run
from understudy.operators.live.held import held_back
from understudy.operators.problem import telling
from understudy.operators.refusal import recorded_refusal
from understudy.operators.run_context import run_folder
from understudy.operators.served import served_by
from understudy.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class PromoteOperator(BaseOperator):
    """Make a blessed challenger the champion; skip one that was declined; return :class:`Deployed`.

    Refuses a blessing that names another champion than the one that serves now, a denied digest and a locked champion.
    Skips while a person holds the model. Where the declaration asks for approval, the ledger has to hold it.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    :param rehearsed: what :class:`ShadowDeployOperator` returned; needed where ``shadow`` is declared. (templated)
    :param canaried: what :class:`CanaryOperator` returned; needed where ``canary`` is declared. (templated)
    """

    template_fields = ("evaluated", "rehearsed", "canaried")
    ui_color = "#e3f4e1"

    def __init__(
        self,
        *,
        model: str,
        evaluated: "XComArg | dict[str, Any]",
        rehearsed: "XComArg | dict[str, Any] | None" = None,
        canaried: "XComArg | dict[str, Any] | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.evaluated = evaluated
        self.rehearsed = rehearsed
        self.canaried = canaried

    def execute(self, context: "Context") -> dict[str, Any]:
        """Promote once, however often it is run."""
        with telling(context):
            return self._promote(context)

    def _promote(self, context: "Context") -> dict[str, Any]:
        evaluated = Evaluated.model_validate(self.evaluated)
        if not evaluated.is_blessed:
            raise AirflowSkipException(evaluated.why_not_blessed)
        folder = run_folder(context, self.model)
        run, spec = folder.run, folder.freeze_spec(load_model(settings().models_dir, self.model))
        hooks = connect()
        self._refuse_unless_tried(context, evaluated, spec)
        approved = self._approved(context, evaluated, spec)
        served = served_by(hooks, spec)
        blessing = Blessing(
            challenger=evaluated.bundle,
            champion_version=evaluated.champion_version,
            champion_epoch=evaluated.champion_epoch,
            judgement_sha256=evaluated.judgement.digest(),
            rubber_stamped=evaluated.judgement.rubber_stamped,
        )
        try:
            record = promote(
                hooks.deployments,
                hooks.registry,
                blessing,
                by=By(actor=actor_of(context), reason="; ".join((reason_of(context), *approved)), run=run),
                gateways=served.gateways if served else None,
                terms=served.terms if served else None,
                mirror=spec.guard.share if served and spec.guard else None,
            )
        except ModelHeld as held:
            raise held_back(context, evaluated.bundle.version, held) from held
        except Refused as refused:
            raise self._refusal(context, evaluated.bundle.version, str(refused)) from refused
        sentence = f"version {record.champion.version} of {self.model} is champion, epoch {record.epoch}"
        self.log.info("%s", sentence)
        return Deployed.by(record, sentence).model_dump(mode="json")

    def _refuse_unless_tried(self, context: "Context", evaluated: Evaluated, spec: ModelSpec) -> None:
        """Refuse what did not pass the trials that its declaration asks for, however this task came to run."""
        asked = (
            ("rehearsal", spec.shadow is not None, Rehearsed, self.rehearsed),
            ("canary", spec.canary is not None, Canaried, self.canaried),
        )
        for what, is_asked, kind, told in asked:
            tried = kind.model_validate(told) if told else None
            if is_asked and (tried is None or not tried.is_passed or tried.version != evaluated.bundle.version):
                why = tried.sentence if tried else f"there is no {what} of it in this run"
                raise self._refusal(context, evaluated.bundle.version, f"model.yaml asks for a {what}, and {why}.")

    def _approved(self, context: "Context", evaluated: Evaluated, spec: ModelSpec) -> tuple[str, ...]:
        """Say who approved it; refuse what nobody did, however this task came to run."""
        if not spec.promotion.persons:
            return ()
        version, judged = evaluated.bundle.version, evaluated.judgement.digest()
        told = answers(connect().ledger, self.model, run_folder(context, self.model).run)
        given = [one for one in told if one.is_about(version, judged)]
        missing = missing_approval(given, version, judged, spec.promotion)
        if missing is not None:
            raise self._refusal(context, version, missing)
        return (approval(given),)

    def _refusal(self, context: "Context", version: int, why: str) -> PromotionRefused:
        run = run_folder(context, self.model).run
        # A canary that passed still answers callers.
        end_of_run(connect(), self.model, run, actor_of(context), "its promotion was refused")
        return recorded_refusal(context, self.model, "promotion", version, why)
