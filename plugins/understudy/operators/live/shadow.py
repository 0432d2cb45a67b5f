"""Rehearse a challenger on live traffic before it answers anybody."""

from typing import TYPE_CHECKING, Any

from understudy.contract.by import By
from understudy.contract.declaration.serving import ShadowSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_duration
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.connect import Hooks
from understudy.hooks.mirroring import start_mirror
from understudy.operators.decisions import actor_of
from understudy.operators.handover import Evaluated, Rehearsed
from understudy.operators.live.rehearsal_trigger import end_watched_mirror
from understudy.operators.live.trying import TryingOperator
from understudy.operators.live.watch import Ending, Seen, Watch
from understudy.operators.live.watching import facts_of, written_at
from understudy.operators.run_context import run_folder
from understudy.operators.served import Served

if TYPE_CHECKING:
    from airflow.sdk import Context


class ShadowDeployOperator(TryingOperator):
    """Let a blessed challenger answer live requests unseen until the evidence decides; return :class:`Rehearsed`.

    What it shows is judged by the model's ``shadow`` section. A challenger that fails, or for which the evidence does
    not suffice in time, is declined: the task is skipped and with it the promotion. The mirror ends with the task, and
    where the task broke, with the run.

    :param model: the declared model.
    :param evaluated: what :class:`EvaluateVsChampionOperator` returned. (templated)
    """

    ui_color = "#efe8f7"
    what = "rehearsed"
    kind = EntryKind.REHEARSED

    def is_declared(self, spec: ModelSpec) -> bool:
        """Tell if there is a ``shadow`` section."""
        return spec.shadow is not None

    def start(self, context: "Context", evaluated: Evaluated, spec: ModelSpec, hooks: Hooks, served: Served) -> Watch:
        """Have the challenger answer live requests unseen."""
        shadow, challenger = spec.shadow or ShadowSpec(), evaluated.bundle
        run = run_folder(context, self.model).run
        record = start_mirror(
            hooks.deployments,
            hooks.registry,
            served.gateways,
            served.terms,
            challenger,
            shadow.share,
            by=By(actor=actor_of(context), reason=f"rehearsal of version {challenger.version}", run=run),
        )
        return Watch(
            model=self.model,
            champion=record.champion.version,
            champion_since=record.champion_since,
            mirror=challenger.version,
            since=written_at(hooks, self.model, record.epoch),
            gates=shadow,
            terms=served.terms,
            run=run,
        )

    def end(self, context: "Context", event: dict[str, Any]) -> Rehearsed:
        """Record what was seen, end the mirror, and let the challenger pass or decline it."""
        seen = Seen.model_validate(event)
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
        return self.pass_or_decline(context, rehearsed)
