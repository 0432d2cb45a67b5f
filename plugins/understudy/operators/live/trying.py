"""What rehearsal and canary have in common: a blessed challenger is tried on live traffic before its promotion."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.errors import UnderstudyError
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.load import load_model
from understudy.contract.release import Deployment
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.errors import ModelHeld, Refused
from understudy.hooks.places.errors import TargetRefused
from understudy.operators.errors import RehearsalDeclined
from understudy.operators.handover import Evaluated, Rehearsed
from understudy.operators.live.canary_watch import CanaryWatch
from understudy.operators.live.held import held_back
from understudy.operators.live.watch import Watch
from understudy.operators.live.watching import WatchingOperator, has_champion
from understudy.operators.refusal import recorded_refusal
from understudy.operators.run_context import run_folder
from understudy.operators.served import Served, served_by
from understudy.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class TryingOperator(WatchingOperator):
    """Try a blessed challenger beside the champion, and let it pass or decline it.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    """

    template_fields = ("evaluated",)

    what: ClassVar[str]
    """What is done with a challenger: ``rehearsed``, ``tried on callers``."""
    kind: ClassVar[EntryKind]
    handed: ClassVar[type[Rehearsed]] = Rehearsed

    def __init__(self, *, evaluated: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluated = evaluated

    @abstractmethod
    def is_declared(self, spec: ModelSpec) -> bool:
        """Tell if the declaration asks for it."""

    @abstractmethod
    def start(
        self, context: "Context", evaluated: Evaluated, spec: ModelSpec, hooks: Hooks, served: Served
    ) -> Watch | CanaryWatch:
        """Write the record that starts it, bring it to the gateways, and say what to watch."""

    def begin(self, context: "Context") -> Watch | CanaryWatch | Rehearsed:
        """Start, or say why there is nothing to try."""
        evaluated = Evaluated.model_validate(self.evaluated)
        version = evaluated.bundle.version
        if not evaluated.is_blessed:
            raise AirflowSkipException(evaluated.why_not_blessed)
        spec = run_folder(context, self.model).freeze_spec(load_model(settings().models_dir, self.model))
        hooks = connect()
        served, current = served_by(hooks, spec), hooks.deployments.current(self.model)
        if served is None or not self.is_declared(spec):
            return self._wave_through(context, evaluated, "model.yaml does not ask for it")
        if current is None:
            return self._wave_through(context, evaluated, f"{self.model} has no champion to compare it with")
        if current.champion == evaluated.bundle:
            return self._wave_through(context, evaluated, "it is the champion already")
        self._refuse_if_stale(context, evaluated, current)
        if evaluated.bundle.answers_as(current.champion):
            # Other rows have made the same files. With another image or threshold, these may answer otherwise, which no
            # rehearsal beside them can show: that is refused.
            return self._wave_through(context, evaluated, f"its files are those of champion {current.champion.version}")
        try:
            return self.start(context, evaluated, spec, hooks, served)
        except TargetRefused as refused:
            # That it can be served is the first thing a challenger has to show; asking again gives the same answer.
            self._cannot_be_served(context, evaluated, str(refused))
            raise
        except Refused as refused:
            raise self.stopped(context, version, refused) from refused

    def pass_or_decline(self, context: "Context", rehearsed: Rehearsed) -> Rehearsed:
        """Return what passed; skip the task for what did not, with its result kept."""
        if rehearsed.is_passed:
            return rehearsed
        context["ti"].xcom_push(key="return_value", value=rehearsed.model_dump(mode="json"))
        raise RehearsalDeclined(rehearsed.sentence)

    def stopped(self, context: "Context", version: int, refused: Refused) -> UnderstudyError:
        """Give the error for a challenger that may not be tried: a hold skips, anything else fails."""
        if isinstance(refused, ModelHeld):
            return held_back(context, version, refused)
        return recorded_refusal(context, self.model, self.kind, version, str(refused))

    def _refuse_if_stale(self, context: "Context", evaluated: Evaluated, current: Deployment) -> None:
        if not has_champion(current, evaluated.champion_version, evaluated.champion_epoch):
            raise recorded_refusal(
                context,
                self.model,
                self.kind,
                evaluated.bundle.version,
                f"It was judged against version {evaluated.champion_version}, but version {current.champion.version} "
                "serves now, so its blessing is stale. Run the retraining again.",
            )

    def _wave_through(self, context: "Context", evaluated: Evaluated, why: str) -> Rehearsed:
        result = GateResult(gate=self.kind.value, verdict=Verdict.PASSED, bound="none", sentence=why)
        judgement = Judgement(verdict=Verdict.PASSED, results=(result,), rubber_stamped=True)
        told = self._handed(evaluated, judgement, f"was not {self.what}: {why}")
        self.record(context, self.kind, told, evaluated.champion_epoch)
        self.log.info("%s", told.sentence)
        return told

    def _cannot_be_served(self, context: "Context", evaluated: Evaluated, why: str) -> None:
        result = GateResult(gate="servable", verdict=Verdict.FAILED, bound="every gateway can serve it", sentence=why)
        judgement = Judgement(verdict=Verdict.FAILED, results=(result,))
        told = self._handed(evaluated, judgement, f"cannot be {self.what}: {why}")
        self.record(context, self.kind, told, evaluated.champion_epoch)
        self.pass_or_decline(context, told)

    def _handed(self, evaluated: Evaluated, judgement: Judgement, told: str) -> Rehearsed:
        version = evaluated.bundle.version
        return self.handed(
            version=version,
            champion_version=evaluated.champion_version,
            judgement=judgement,
            sentence=f"version {version} {told}",
        )
