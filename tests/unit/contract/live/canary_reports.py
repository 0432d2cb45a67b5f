"""What gateways might say of a canary."""

from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.live.canary_report import Arm, ArmLosses, CanaryBlock, CanaryQuery, CanaryReport
from understudy.contract.serving import LATENCY_EDGES_MS, Tally
from understudy.contract.words import MirrorLoss

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
QUERY = CanaryQuery(champion_version=3, canary_version=7, since=START, epoch=2, block_s=86_400)
ROWS = 50


LABELS = CanarySpec(min_requests=100, min_labels=100, step_deadline=timedelta(days=30), max_score_shift=0.2)
AB = CanarySpec.model_validate({"mode": "ab", "min_requests": 100})
EDGES = (0.5,)


def arm(requests: int = 500, lost: int = 0, place: int = 10, rss: int | None = 10**8, **more: Any) -> Arm:
    """Give one side: all its answers as fast as one another, each request of a caller of its own."""
    timed = tuple(requests - lost if edge == place else 0 for edge in range(len(LATENCY_EDGES_MS) + 1))
    tally = Tally(requests=requests, errors=lost, score_ms=timed, rss_bytes=rss)
    given = {"loose": requests, "lost": {MirrorLoss.DOWN: lost} if lost else {}, **more}
    return Arm(tally=tally, **given)


def blocks_of(count: int, gain: float = 0.0, usual: float = 1.0, wobble: float = 0.01) -> tuple[CanaryBlock, ...]:
    """Give days on which the canary loses less by ``gain`` per row, give or take a little."""
    return tuple(
        CanaryBlock(
            start=START + day * DAY,
            canary=_losses(usual - gain + wobble * (-1) ** day),
            baseline=_losses(usual),
        )
        for day in range(count)
    )


def _losses(per_row: float) -> ArmLosses:
    return ArmLosses(rows=ROWS, loss=per_row * ROWS, value=-per_row * ROWS)


def report_of(
    query: CanaryQuery = QUERY,
    *,
    requests: int = 500,
    lost: int = 0,
    gain: float = 0.0,
    blocks: int = 0,
    **more: Any,
) -> CanaryReport:
    """Give a report in which both sides did alike, but for what is said."""
    given = {"canary": arm(requests, lost), "baseline": arm(requests), "blocks": blocks_of(blocks, gain), **more}
    return CanaryReport(
        model="price",
        champion_version=query.champion_version,
        canary_version=query.canary_version,
        gateways=("east",),
        since=query.since,
        epoch=query.epoch,
        until=START + max(blocks, 1) * DAY,
        **given,
    )


def whole(**more: Any) -> CanaryReport:
    """Give a report with everything that can be asked for."""
    sides = {"canary": arm(scores=(250, 250)), "baseline": arm(scores=(250, 250))}
    return report_of(**{"blocks": 30, "score_edges": EDGES, "is_valued": True, **sides, **more})
