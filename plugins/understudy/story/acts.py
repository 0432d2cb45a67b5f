"""The five acts: what is done in each, and what must then be true."""

from datetime import datetime, timezone

from understudy.contract.declared import Fact
from understudy.contract.words import Outcome, Word
from understudy.sample.powerprice import POISON_END, SHIFT

MODEL = "powerprice"
BEFORE_THE_SHIFT = datetime(2024, 1, 1, tzinfo=timezone.utc)
A_YEAR_AFTER = datetime(2025, 2, 1, tzinfo=timezone.utc)
LAST_GOOD_WEEK = datetime(2025, 3, 31, tzinfo=timezone.utc)
AFTER_THE_BAD_BATCH = POISON_END
SHORT_CUT: dict[str, object] = {"estimator": "decision_tree", "params": {"max_depth": 2}}
assert BEFORE_THE_SHIFT < SHIFT < A_YEAR_AFTER < LAST_GOOD_WEEK < AFTER_THE_BAD_BATCH  # noqa: S101 - the story depends on it


class Scene(Word):
    """Name the acts."""

    FIRST = "first"
    BETTER = "better"
    POISONED = "poisoned"
    WORSE = "worse"
    ROLLBACK = "rollback"


class Act(Fact):
    """Say what is done in an act, and how it must end."""

    scene: Scene
    title: str
    as_of: datetime | None
    outcome: Outcome | None
    """How the run must end; None for the rollback, which is no retraining."""
    promise: str
    """What must be true afterwards, in words."""
    train: dict[str, object] | None = None
    """A colleague's change of the declaration's ``train`` section before the run."""


ACTS = (
    Act(
        scene=Scene.FIRST,
        title="A first model",
        as_of=BEFORE_THE_SHIFT,
        outcome=Outcome.PROMOTED,
        promise="nothing to compare with: rubber-stamped by its floors",
    ),
    Act(
        scene=Scene.BETTER,
        title="A better challenger, a year after the market changed",
        as_of=A_YEAR_AFTER,
        outcome=Outcome.PROMOTED,
        promise="provably better on the same future rows: promoted",
    ),
    Act(
        scene=Scene.POISONED,
        title="A poisoned batch: prices in cents, lost forecasts",
        as_of=AFTER_THE_BAD_BATCH,
        outcome=Outcome.DATA_REFUSED,
        promise="the sanity check refuses and quarantines; the champion stays",
    ),
    Act(
        scene=Scene.WORSE,
        title="A colleague's simplification, on good data",
        as_of=LAST_GOOD_WEEK,
        outcome=Outcome.DECLINED,
        promise="refused at the gate; the champion stays",
        train=SHORT_CUT,
    ),
    Act(
        scene=Scene.ROLLBACK,
        title="Second thoughts: rollback",
        as_of=None,
        outcome=None,
        promise="the previous champion serves again; the other is denied",
    ),
)
