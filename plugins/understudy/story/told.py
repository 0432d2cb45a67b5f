"""What a telling of the story comes to."""

from understudy.contract.declared import Fact
from understudy.embedded.stack import Running
from understudy.story.proof import Row


class Told(Fact):
    """What the demo did; ``ok`` when no row contradicts registry or ledger."""

    ok: bool
    rows: tuple[Row, ...]
    ledger: str
    running: Running | None
    """Where to look around; None where the stack was stopped again."""
    setup_seconds: float
    seconds: float
