"""The live requests of the story: which hours are replayed, and how fast."""

from understudy.sample.powerprice import BACK, END, POISON_START, SHIFT, simulate
from understudy.sample.traffic import Hours, Traffic
from understudy.story.acts import A_YEAR_AFTER, BEFORE_THE_SHIFT, MODEL, Market

RATE_PER_S = 24.0
LABEL_AFTER_S = 2.0


def markets() -> dict[Market, Hours]:
    """Simulate the hours of each world."""
    columns = simulate(back=BACK)
    spans = {
        Market.OLD: (BEFORE_THE_SHIFT, SHIFT),
        Market.NEW: (A_YEAR_AFTER, POISON_START),
        Market.OLD_AGAIN: (BACK, END),
    }
    return {market: Hours.of(columns, begin, end) for market, (begin, end) in spans.items()}


def traffic_of(base_url: str, hours: Hours) -> Traffic:
    """Prepare the story's callers; they send nothing before they are started."""
    return Traffic(base_url, MODEL, hours, rate_per_s=RATE_PER_S, label_after_s=LABEL_AFTER_S)
