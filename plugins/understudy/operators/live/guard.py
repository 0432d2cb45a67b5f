"""Watch a new champion through its probation, and take it back when it does worse than the one before."""

from typing import TYPE_CHECKING, Any, NoReturn

from understudy.contract.breach import taken_back
from understudy.contract.by import By
from understudy.contract.declaration.serving import GuardSpec
from understudy.contract.declared import format_duration
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.load import load_model
from understudy.contract.release import Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, EntryKind, Verdict
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.errors import Refused
from understudy.hooks.mirroring import start_mirror
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.rollback import REASON_LIMIT, rollback
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.errors import ProbationBreached, RollbackRefused
from understudy.operators.handover import Deployed, Guarded
from understudy.operators.live.rehearsal_trigger import end_watched_mirror
from understudy.operators.live.watch import Ending, Seen, Watch
from understudy.operators.live.watching import WatchingOperator, facts_of, has_champion, written_at
from understudy.operators.run_context import run_folder
from understudy.operators.served import Served, served_by
from understudy.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

GUARD = "guard"
"""Who takes a champion back: no person decided."""


class GuardOperator(WatchingOperator):
    """Watch a new champion as the model's ``guard`` section says; return :class:`Guarded`.

    A breach takes the champion back and fails the task. Gateways that cannot be asked for a minute are a breach too.
    Too little traffic to say anything is recorded as that, and the champion stays.

    :param model: the declared model.
    :param deployed: what :class:`PromoteOperator` returned. (templated)
    """

    template_fields = ("deployed",)
    ui_color = "#e3f4e1"

    def __init__(self, *, deployed: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployed = deployed

    def begin(self, context: "Context") -> Watch | Guarded:
        """Begin to watch, or say why there is nothing to compare with."""
        deployed = Deployed.model_validate(self.deployed)
        spec = run_folder(context, self.model).freeze_spec(load_model(settings().models_dir, self.model))
        hooks = connect()
        served, current = served_by(hooks, spec), hooks.deployments.current(self.model)
        if served is None or spec.guard is None:
            return self._cannot_watch(context, deployed, "model.yaml asks for no probation")
        breach = self._earlier_breach(context, hooks, deployed)
        if breach is not None:
            # An earlier try of this task judged and died: what it decided is done, and not judged anew.
            self._take_back(context, breach, served.terms, current.champion_since if current else deployed.epoch)
        if current is None or not _is_champion(current, deployed):
            return self._cannot_watch(context, deployed, "another decision has replaced it since")
        if current.previous is None:
            return self._cannot_watch(context, deployed, "it is the first champion, so there is none to compare with")
        try:
            record = self._with_mirror(context, hooks, served, current, spec.guard)
        except Refused as refused:
            return self._cannot_watch(context, deployed, f"the one before cannot answer beside it: {refused}")
        return Watch(
            model=self.model,
            champion=deployed.version,
            champion_since=record.champion_since,
            mirror=current.previous.version,
            since=written_at(hooks, self.model, record.champion_since),
            gates=spec.guard,
            terms=served.terms,
            run=run_folder(context, self.model).run,
        )

    def end(self, context: "Context", event: dict[str, Any]) -> Guarded:
        """Record what was seen; take the champion back where it did worse, else end the mirror."""
        seen = Seen.model_validate(event)
        watch, judgement = seen.watch, seen.judge()
        current = connect().deployments.current(self.model)
        is_ours = has_champion(current, watch.champion, watch.champion_since)
        is_breach = judgement.verdict is Verdict.FAILED and is_ours and seen.ending is not Ending.OVERTAKEN
        guarded = Guarded(
            version=watch.champion,
            judgement=judgement,
            sentence=f"version {watch.champion} in its probation of {format_duration(watch.length)} beside version "
            f"{watch.mirror}: {judgement.sentence}",
        )
        facts = {**facts_of(seen), "guarded": guarded.model_dump(mode="json"), "breach": is_breach}
        self.record(context, EntryKind.GUARDED, guarded, watch.champion_since, facts)
        if is_breach:
            self._take_back(context, guarded, watch.terms, watch.champion_since)
        end_watched_mirror(watch, actor_of(context), f"the probation of version {watch.champion} is over")
        self.log.info("%s", guarded.sentence)
        return guarded

    def _with_mirror(
        self, context: "Context", hooks: Hooks, served: Served, current: Deployment, guard: GuardSpec
    ) -> Deployment:
        """Give the record with the one before as its mirror, as the promotion wrote it unless somebody ended that."""
        if current.previous is None or current.mirror == current.previous:
            return current
        return start_mirror(
            hooks.deployments,
            hooks.registry,
            served.gateways,
            served.terms,
            current.previous,
            guard.share,
            by=By(
                actor=actor_of(context),
                reason=f"probation of version {current.champion.version}",
                run=run_folder(context, self.model).run,
            ),
        )

    def _earlier_breach(self, context: "Context", hooks: Hooks, deployed: Deployed) -> Guarded | None:
        run = run_folder(context, self.model).run
        entries = hooks.ledger.entries(self.model, [EntryKind.GUARDED], run=run, newest_first=True)
        found = next((entry for entry in entries if entry.facts.get("breach")), None)
        if found is None or found.facts.get("version") != deployed.version:
            return None
        has_acted = any(
            served.run == run and served.deployment.change is Change.ROLLBACK
            for served in hooks.deployments.history(self.model)
        )
        current = hooks.deployments.current(self.model)
        is_open = current is not None and _is_champion(current, deployed)
        return Guarded.model_validate(found.facts["guarded"]) if has_acted or is_open else None

    def _take_back(self, context: "Context", guarded: Guarded, terms: ServingTerms, since: int) -> NoReturn:
        hooks = connect()
        try:
            record = rollback(
                hooks.deployments,
                hooks.registry,
                self.model,
                by=By(actor=GUARD, reason=guarded.sentence[:REASON_LIMIT], run=run_folder(context, self.model).run),
                only_since=since,
                gateways=hooks.places(terms),
                terms=terms,
            )
        except GatewayLagging as lagging:
            self._tell(context, guarded, lagging.version, f"; {lagging}")
            raise
        except Refused as refused:
            context["ti"].xcom_push(key=REFUSAL_KEY, value=f"{guarded.sentence}; {refused}")
            raise RollbackRefused(self.model, str(refused)) from refused
        raise ProbationBreached(self._tell(context, guarded, record.champion.version, ""))

    def _tell(self, context: "Context", guarded: Guarded, version: int, more: str) -> str:
        sentence = taken_back(guarded.version, version, guarded.sentence)
        told = guarded.model_copy(update={"rolled_back_to": version, "sentence": sentence + more})
        context["ti"].xcom_push(key="return_value", value=told.model_dump(mode="json"))
        return told.sentence

    def _cannot_watch(self, context: "Context", deployed: Deployed, why: str) -> Guarded:
        result = GateResult(gate="probation", verdict=Verdict.INCONCLUSIVE, bound="a champion before it", sentence=why)
        guarded = Guarded(
            version=deployed.version,
            judgement=Judgement(verdict=Verdict.INCONCLUSIVE, results=(result,)),
            sentence=f"version {deployed.version} has no probation: {why}",
        )
        self.record(context, EntryKind.GUARDED, guarded, deployed.epoch)
        self.log.info("%s", guarded.sentence)
        return guarded


def _is_champion(current: Deployment, deployed: Deployed) -> bool:
    """Tell whether what was promoted is still champion; a mirror that ended beside it changes the epoch only."""
    return current.champion.version == deployed.version and current.champion_since <= deployed.epoch
