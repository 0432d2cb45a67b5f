"""Rehearse a challenger on live traffic before it answers anybody."""

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.declared import format_duration
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.load import load_model
from understudy.contract.release import Deployment
from understudy.contract.serving_spec import ShadowSpec
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.errors import Refused
from understudy.hooks.mirroring import start_mirror
from understudy.hooks.target_errors import TargetRefused
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.errors import PromotionRefused, RehearsalDeclined
from understudy.operators.handover import Evaluated, Rehearsed
from understudy.operators.rehearsal_trigger import end_watched_mirror
from understudy.operators.run_context import run_folder
from understudy.operators.served import Served, served_by
from understudy.operators.watch import Ending, Seen, Watch
from understudy.operators.watching import WatchingOperator, facts_of, has_champion, written_at
from understudy.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class ShadowDeployOperator(WatchingOperator):
    """Let a blessed challenger answer live requests unseen until the evidence decides; return :class:`Rehearsed`.

    What it shows is judged by the model's ``shadow`` section. A challenger that fails, or for which the evidence does
    not suffice in time, is declined: the task is skipped and with it the promotion. The mirror ends with the task, and
    where the task broke, with the run.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    """

    template_fields = ("evaluated",)
    ui_color = "#efe8f7"

    def __init__(self, *, evaluated: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluated = evaluated

    def begin(self, context: "Context") -> Watch | Rehearsed:
        """Start the mirror, or say why there is nothing to rehearse."""
        evaluated = Evaluated.model_validate(self.evaluated)
        version = evaluated.bundle.version
        if not evaluated.is_blessed:
            raise AirflowSkipException(f"version {version} is not blessed: {evaluated.judgement.sentence}")
        spec = run_folder(context, self.model).freeze_spec(load_model(settings().models_dir, self.model))
        hooks = connect()
        served, current = served_by(hooks, spec), hooks.deployments.current(self.model)
        if served is None or spec.shadow is None:
            return self._wave_through(context, evaluated, "model.yaml asks for no rehearsal")
        if current is None:
            return self._wave_through(context, evaluated, f"{self.model} has no champion to rehearse against")
        if current.champion == evaluated.bundle:
            return self._wave_through(context, evaluated, "it is the champion already")
        if not has_champion(current, evaluated.champion_version, evaluated.champion_epoch):
            raise self._refused(
                context,
                version,
                f"It was judged against version {evaluated.champion_version}, but version {current.champion.version} "
                "serves now, so its blessing is stale. Run the retraining again.",
            )
        record = self._start(context, evaluated, spec.shadow, hooks, served)
        return Watch(
            model=self.model,
            champion=record.champion.version,
            champion_since=record.champion_since,
            mirror=version,
            since=written_at(hooks, self.model, record.epoch),
            gates=spec.shadow,
            terms=served.terms,
            run=run_folder(context, self.model).run,
        )

    def end(self, context: "Context", seen: Seen) -> Rehearsed:
        """Record what was seen, end the mirror, and let the challenger pass or decline it."""
        watch, judgement = seen.watch, seen.judge()
        told = judgement.sentence
        if seen.ending is Ending.TIME_IS_UP and judgement.verdict is Verdict.INCONCLUSIVE:
            told = f"not decided within {format_duration(watch.length)}: {told}"
        rehearsed = Rehearsed(
            version=watch.mirror,
            champion_version=watch.champion,
            judgement=judgement,
            sentence=f"version {watch.mirror} was rehearsed beside version {watch.champion}: {told}",
        )
        try:
            self.record(context, EntryKind.REHEARSED, rehearsed, watch.champion_since, facts_of(seen))
        finally:
            end_watched_mirror(watch, actor_of(context), f"the rehearsal of version {watch.mirror} is over")
        return self._pass_or_decline(context, rehearsed)

    def _start(
        self, context: "Context", evaluated: Evaluated, shadow: ShadowSpec, hooks: Hooks, served: Served
    ) -> Deployment:
        challenger = evaluated.bundle
        try:
            return start_mirror(
                hooks.deployments,
                hooks.registry,
                served.gateways,
                served.terms,
                challenger,
                shadow.share,
                actor=actor_of(context),
                reason=f"rehearsal of version {challenger.version}",
                run=run_folder(context, self.model).run,
            )
        except TargetRefused as refused:
            # That it can be served is the first thing a challenger has to show; asking again gives the same answer.
            self._decline(context, evaluated, str(refused))
            raise
        except Refused as refused:
            raise self._refused(context, challenger.version, str(refused)) from refused

    def _wave_through(self, context: "Context", evaluated: Evaluated, why: str) -> Rehearsed:
        version = evaluated.bundle.version
        result = GateResult(gate="rehearsal", verdict=Verdict.PASSED, bound="none", sentence=why)
        rehearsed = Rehearsed(
            version=version,
            champion_version=evaluated.champion_version,
            judgement=Judgement(verdict=Verdict.PASSED, results=(result,), rubber_stamped=True),
            sentence=f"version {version} was not rehearsed: {why}",
        )
        self.record(context, EntryKind.REHEARSED, rehearsed, evaluated.champion_epoch)
        self.log.info("%s", rehearsed.sentence)
        return rehearsed

    def _decline(self, context: "Context", evaluated: Evaluated, why: str) -> None:
        result = GateResult(gate="servable", verdict=Verdict.FAILED, bound="every gateway can serve it", sentence=why)
        rehearsed = Rehearsed(
            version=evaluated.bundle.version,
            champion_version=evaluated.champion_version,
            judgement=Judgement(verdict=Verdict.FAILED, results=(result,)),
            sentence=f"version {evaluated.bundle.version} cannot be rehearsed: {why}",
        )
        self.record(context, EntryKind.REHEARSED, rehearsed, evaluated.champion_epoch)
        self._pass_or_decline(context, rehearsed)

    def _pass_or_decline(self, context: "Context", rehearsed: Rehearsed) -> Rehearsed:
        if rehearsed.is_passed:
            return rehearsed
        context["ti"].xcom_push(key="return_value", value=rehearsed.model_dump(mode="json"))
        raise RehearsalDeclined(rehearsed.sentence)

    def _refused(self, context: "Context", version: int, why: str) -> PromotionRefused:
        run = run_folder(context, self.model).run
        connect().ledger.append_once(
            f"{self.model}/{run}/rehearsal_refused/{version}",
            self.model,
            EntryKind.REFUSED,
            actor_of(context),
            why,
            run,
            {"version": version},
        )
        context["ti"].xcom_push(key=REFUSAL_KEY, value=why)
        return PromotionRefused(self.model, version, why)
