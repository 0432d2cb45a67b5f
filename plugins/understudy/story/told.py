"""What a telling of the story comes to."""

from understudy.contract.declared import Fact
from understudy.embedded.stack import Running
from understudy.sample.traffic import Count
from understudy.story.proof import Row
from understudy.story.reversal import Reversal


class Told(Fact):
    """What the demo did; ``ok`` when no row contradicts registry, ledger or gateway."""

    ok: bool
    rows: tuple[Row, ...]
    ledger: str
    live: Count
    """All live requests of the story."""
    labels: int
    """How many labels followed them."""
    reversal: Reversal | None
    """How long the way back took; None where there was none."""
    running: Running | None
    """Where to look around; None where the stack was stopped again."""
    setup_seconds: float
    seconds: float
