"""The slot that rollback drills play in: models come into it blessed for the drill, and nothing stays in it."""

from typing import NamedTuple

from understudy.contract.airflow_run import AirflowRun
from understudy.contract.by import By
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_SERVING
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.serving import ServingTerms
from understudy.contract.words import Change, EntryKind, MlTask, Verdict
from understudy.hooks.beside import end_beside
from understudy.hooks.connect import Hooks
from understudy.hooks.places.gateways import Gateways
from understudy.hooks.promotion import promote
from understudy.operators.drill.errors import SandboxLeftBehind

OVER = "the drill is over"
TERMS = ServingTerms(task=MlTask.BINARY, serving=DRILL_SERVING)


class Sandbox(NamedTuple):
    """Hold what a drill acts through, and who it is."""

    hooks: Hooks
    gateways: Gateways
    actor: str
    run: str
    airflow: AirflowRun

    def raise_champion(self, bundle: Bundle, why: str, *, mirror: float | None = None) -> Deployment:
        """Bless a version without having measured it, say so, and promote it."""
        hooks = self.hooks
        serving = hooks.deployments.current(DRILL_MODEL)
        asked = GateResult(
            gate="drill", verdict=Verdict.PASSED, bound="a drill", sentence=f"version {bundle.version}: {why}"
        )
        judgement = Judgement(verdict=Verdict.PASSED, results=(asked,), rubber_stamped=True)
        blessing = Blessing(
            challenger=bundle,
            champion_version=serving.champion.version if serving else None,
            champion_epoch=serving.champion_since if serving else 0,
            judgement_sha256=judgement.digest(),
            rubber_stamped=True,
        )
        about = {
            "version": bundle.version,
            "verdict": judgement.verdict.value,
            "rubber_stamped": True,
            "judgement": judgement.model_dump(mode="json"),
            "judgement_sha256": judgement.digest(),
        }
        key = f"{DRILL_MODEL}/{self.run}/%s/{bundle.version}/{blessing.champion_epoch}"
        for kind, facts in ((EntryKind.JUDGED, about), (EntryKind.BLESSED, blessing.model_dump(mode="json"))):
            hooks.ledger.append_once(key % kind, DRILL_MODEL, kind, self.actor, asked.sentence, self.run, facts)
        return promote(
            hooks.deployments,
            hooks.registry,
            blessing,
            by=By(actor=self.actor, reason=why, run=self.run),
            gateways=self.gateways,
            terms=TERMS,
            mirror=mirror,
        )

    def clear(self) -> None:
        """Clear it, as :func:`clear_sandbox` says."""
        clear_sandbox(self.hooks, self.gateways, self.actor, self.run)


def left_by_drills(hooks: Hooks) -> list[Bundle]:
    """List the versions that came into the sandbox and were not cleared away."""
    denied = hooks.deployments.denied(DRILL_MODEL)
    blessed = (Blessing.model_validate(entry.facts) for entry in hooks.ledger.entries(DRILL_MODEL, [EntryKind.BLESSED]))
    return [one.challenger for one in blessed if one.challenger.model_sha256 not in denied]


def clear_sandbox(hooks: Hooks, gateways: Gateways, actor: str, run: str | None) -> None:
    """Leave nothing at the gateways, and nothing that a later drill could fall back to; repeating that is harmless.

    What an earlier drill left that was killed together with its clearing goes as well: there is one drill at a time.

    :raises SandboxLeftBehind: where a gateway cannot be told.
    """
    # First, because only this costs anybody anything, and the ledger may be down.
    left = gateways.forget(DRILL_MODEL, purge=True)
    for bundle in left_by_drills(hooks):
        hooks.deployments.deny(DRILL_MODEL, bundle.model_sha256, By(actor=actor, reason=OVER, run=run), bundle=bundle)
    # Without gateways: nobody sends them the record.
    end_beside(
        hooks.deployments,
        hooks.registry,
        None,
        None,
        DRILL_MODEL,
        Change.MIRROR_ENDED,
        by=By(actor=actor, reason=OVER),
    )
    hooks.registry.forget_copies(DRILL_MODEL)
    if left:
        raise SandboxLeftBehind("; ".join(f"{late.gateway}: {late.problem.rstrip('.')}" for late in left))
