"""Let a challenger answer a share of the callers before it answers all of them."""

from typing import TYPE_CHECKING, Any

from understudy.contract.by import By
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Deployment
from understudy.contract.words import CanaryMode, Change, EntryKind, Verdict
from understudy.hooks.canarying import start_canary, step_canary
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.errors import Refused
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.operators.decisions import actor_of
from understudy.operators.errors import GatewaysMissing
from understudy.operators.handover import Canaried, Evaluated, Rehearsed
from understudy.operators.live.beside import end_of_run
from understudy.operators.live.canary_trigger import end_watched_canary
from understudy.operators.live.canary_watch import CanarySeen, CanaryWatch
from understudy.operators.live.trying import TryingOperator
from understudy.operators.live.watch import Ending
from understudy.operators.live.watching import written_at
from understudy.operators.run_context import run_folder
from understudy.operators.served import Served

if TYPE_CHECKING:
    from airflow.sdk import Context


class CanaryOperator(TryingOperator):
    """Let a blessed challenger answer a share of the callers, step by step; return :class:`Canaried`.

    Each step is judged by the model's ``canary`` section against a fresh copy of the champion, and is in the ledger
    before the next begins. A challenger that fails at any look, or for which the evidence does not suffice in time, is
    declined: all callers are the champion's again, the task is skipped and with it the promotion. One that passed keeps
    its share until :class:`PromoteOperator` gives it all of them, or until the run ends.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    """

    ui_color = "#efe8f7"
    what = "tried on callers"
    kind = EntryKind.CANARIED
    handed = Canaried

    def is_declared(self, spec: ModelSpec) -> bool:
        """Tell if there is a ``canary`` section."""
        return spec.canary is not None

    def start(
        self, context: "Context", evaluated: Evaluated, spec: ModelSpec, hooks: Hooks, served: Served
    ) -> CanaryWatch:
        """Give it its first share, or go on where an earlier try of this task was."""
        gates, run = spec.canary or CanarySpec(), run_folder(context, self.model).run
        try:
            record = start_canary(
                hooks.deployments,
                hooks.registry,
                served.gateways,
                served.terms,
                evaluated.bundle,
                gates.shares[0],
                champion_since=evaluated.champion_epoch,
                by=By(actor=actor_of(context), reason=f"{gates.mode} of version {evaluated.bundle.version}", run=run),
            )
        except GatewayLagging:
            end_of_run(hooks, self.model, run, actor_of(context), "a gateway did not follow, so nobody could watch it")
            raise
        value = spec.evaluate.value if gates.mode is CanaryMode.AB else None
        since = next(
            served.at
            for served in reversed(hooks.deployments.history(self.model))
            if served.deployment.change is Change.CANARY_STARTED
        )
        return CanaryWatch(
            model=self.model,
            champion=record.champion.version,
            champion_since=record.champion_since,
            canary=evaluated.bundle.version,
            share=record.canary_share,
            epoch=record.epoch,
            since=since,
            step_since=written_at(hooks, self.model, record.epoch),
            gates=gates,
            costs=value.costs if value is not None else None,
            terms=served.terms,
            run=run,
        )

    def end(self, context: "Context", event: dict[str, Any]) -> CanaryWatch | Rehearsed:
        """Record the step; then let the share rise, let the challenger pass, or give its callers back."""
        seen = CanarySeen.model_validate(event)
        watch, judgement = seen.watch, seen.judge()
        canaried = Canaried(
            version=watch.canary,
            champion_version=watch.champion,
            judgement=judgement,
            share=watch.share,
            sentence=f"version {watch.canary} answered {_percent(watch.share)} of the callers beside version "
            f"{watch.champion}: {_told(seen, judgement.verdict, judgement.sentence)}",
        )
        try:
            self.record(context, EntryKind.CANARIED, canaried, watch.epoch, _facts_of(seen))
        except UnderstudyError:
            self._give_back(context, watch, "the ledger could not take its evidence")
            raise
        if not canaried.is_passed:
            self._give_back(context, watch, f"version {watch.canary} was declined")
            return self.pass_or_decline(context, canaried)
        share = watch.next_share
        return canaried if share is None else self._rise(context, watch, share)

    def _rise(self, context: "Context", watch: CanaryWatch, share: float) -> CanaryWatch:
        hooks, challenger = connect(), Evaluated.model_validate(self.evaluated).bundle
        places = hooks.places(watch.terms)
        if places is None:
            raise GatewaysMissing(self.model)
        try:
            record = step_canary(
                hooks.deployments,
                hooks.registry,
                places,
                watch.terms,
                challenger,
                share,
                by=By(
                    actor=actor_of(context),
                    reason=f"{watch.gates.mode} of version {challenger.version}: {_percent(watch.share)} passed",
                    run=watch.run,
                ),
            )
        except Refused as refused:
            self._give_back(context, watch, "its share may not rise")
            raise self.stopped(context, challenger.version, refused) from refused
        except UnderstudyError:
            self._give_back(context, watch, "a gateway did not follow, so nobody could watch it")
            raise
        return _watch_at(watch, record, hooks)

    def _give_back(self, context: "Context", watch: CanaryWatch, why: str) -> None:
        end_watched_canary(watch, actor_of(context), why)


def _watch_at(watch: CanaryWatch, record: Deployment, hooks: Hooks) -> CanaryWatch:
    return watch.model_copy(
        update={
            "share": record.canary_share,
            "epoch": record.epoch,
            "step_since": written_at(hooks, watch.model, record.epoch),
        }
    )


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _told(seen: CanarySeen, verdict: Verdict, sentence: str) -> str:
    if seen.ending is Ending.TIME_IS_UP and verdict is Verdict.INCONCLUSIVE:
        return f"not decided within {format_duration(seen.watch.gates.length_of_step)}: {sentence}"
    return sentence


def _facts_of(seen: CanarySeen) -> dict[str, Any]:
    watch = seen.watch
    return {
        "champion_version": watch.champion,
        "canary_version": watch.canary,
        "mode": watch.gates.mode.value,
        "share": watch.share,
        "since": watch.since.isoformat(),
        "step_since": watch.step_since.isoformat(),
        "ending": seen.ending.value,
        "problem": seen.problem,
        "gates": watch.gates.model_dump(mode="json"),
        "report": seen.report.model_dump(mode="json") if seen.report else None,
    }
