"""The acts: what is done in each, which live requests come meanwhile, and what must then be true."""

from datetime import datetime, timezone

from understudy.contract.declared import Fact
from understudy.contract.words import Outcome, Word
from understudy.sample.powerprice import BACK, POISON_END, POISON_START, SHIFT

MODEL = "powerprice"
BEFORE_THE_SHIFT = datetime(2024, 1, 1, tzinfo=timezone.utc)
THREE_WEEKS_LATER = datetime(2024, 1, 22, tzinfo=timezone.utc)
JUST_BEFORE_THE_SHIFT = datetime(2024, 1, 29, tzinfo=timezone.utc)
A_YEAR_AFTER = datetime(2025, 2, 1, tzinfo=timezone.utc)
AFTER_THE_BAD_BATCH = POISON_END
SHORT_CUT: dict[str, object] = {"estimator": "decision_tree", "params": {"max_depth": 2}}
assert BEFORE_THE_SHIFT < THREE_WEEKS_LATER < JUST_BEFORE_THE_SHIFT < SHIFT < A_YEAR_AFTER < POISON_START < BACK  # noqa: S101 - the story depends on it


class Scene(Word):
    """Name the acts."""

    FIRST = "first"
    WORSE = "worse"
    QUIET = "quiet"
    BETTER = "better"
    FAULT = "fault"
    POISONED = "poisoned"


class Market(Word):
    """Name the worlds that live requests come from; their hours were seen by no training before them."""

    OLD = "old"
    NEW = "new"
    OLD_AGAIN = "old_again"


class Act(Fact):
    """Say what is done in an act, and how it must end."""

    scene: Scene
    title: str
    as_of: datetime | None = None
    """When the retraining that it triggers looks at the world; None where it triggers none."""
    look_at: datetime | None = None
    """When the monitor looks at the champion's world; where something is due, the act goes on with the retraining."""
    market: Market
    """Where the live requests come from meanwhile."""
    outcome: Outcome | None
    """How the retraining must end; where the act is over before it, how far it must have come. None: none may begin."""
    until: str | None = None
    """The task whose end ends the act; the run's own end when absent."""
    promise: str
    """What must be true afterwards, in words."""
    train: dict[str, object] | None = None
    """A colleague's change of the declaration's ``train`` section before the run."""

    @property
    def begins(self) -> bool:
        """Tell an act that starts something from one that goes on with a run."""
        return self.as_of is not None or self.look_at is not None


ACTS = (
    Act(
        scene=Scene.FIRST,
        title="A first model goes live",
        as_of=BEFORE_THE_SHIFT,
        market=Market.OLD,
        outcome=Outcome.PROMOTED,
        promise="nothing to compare with: rubber-stamped by its floors, then it answers live requests",
    ),
    Act(
        scene=Scene.WORSE,
        title="A colleague's simplification, on good data",
        as_of=THREE_WEEKS_LATER,
        market=Market.OLD,
        outcome=Outcome.DECLINED,
        promise="refused at the gate; the champion stays",
        train=SHORT_CUT,
    ),
    Act(
        scene=Scene.QUIET,
        title="The monitor looks, before the market changes",
        look_at=JUST_BEFORE_THE_SHIFT,
        market=Market.OLD,
        outcome=None,
        promise="winter is not drift: it was seen before, so nothing is asked for",
    ),
    Act(
        scene=Scene.BETTER,
        title="It looks again, a year after the market changed",
        look_at=A_YEAR_AFTER,
        market=Market.NEW,
        outcome=Outcome.PROMOTED,
        until="promote",
        promise="it sees the drift and asks for one retraining: provably better, then good in shadow, promoted",
    ),
    Act(
        scene=Scene.FAULT,
        title="Injected fault: the market turns back overnight",
        market=Market.OLD_AGAIN,
        outcome=Outcome.ROLLED_BACK,
        promise="the guard sees it by late labels and takes the promotion back; the version is denied",
    ),
    Act(
        scene=Scene.POISONED,
        title="A poisoned batch: prices in cents, lost forecasts",
        as_of=AFTER_THE_BAD_BATCH,
        market=Market.OLD_AGAIN,
        outcome=Outcome.DATA_REFUSED,
        promise="the sanity check refuses and quarantines; the champion stays",
    ),
)
