"""What gateways report of a rehearsal in which both versions do well, and what is asked of them."""

from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.contract.declaration.serving import GuardSpec, ShadowSpec
from understudy.contract.judgement import Judgement
from understudy.contract.serving import LATENCY_EDGES_MS, LossBlock, RehearsalReport, Tally

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MB = 1_000_000


def timed(ms: float, count: int) -> tuple[int, ...]:
    """Count answers that all took so long."""
    place = sum(edge < ms for edge in LATENCY_EDGES_MS)
    return tuple(count if index == place else 0 for index in range(len(LATENCY_EDGES_MS) + 1))


def tally(requests: int = 1000, errors: int = 0, ms: float = 2.0, rss: int | None = 200 * MB) -> Tally:
    return Tally(requests=requests, errors=errors, score_ms=timed(ms, requests - errors), rss_bytes=rss)


def losses(mirror: float, count: int = 12, rows: int = 50, champion: float = 0.2, wobble: float = 0.01) -> Any:
    """Give blocks of an hour whose losses waver a little around their mean."""
    return tuple(
        LossBlock(
            start=NOON + timedelta(hours=hour),
            rows=rows,
            champion_loss=rows * champion,
            mirror_loss=rows * (mirror + wobble * (-1) ** hour),
        )
        for hour in range(count)
    )


def report(**parts: Any) -> RehearsalReport:
    given = {
        "model": "price", "champion_version": 3, "mirror_version": 7, "gateways": ("a",),
        "since": NOON, "until": NOON + timedelta(days=2), "champion": tally(), "mirror": tally(),
        "pairs": 1000, "rows": 1000, "agreeing_rows": 990, "score_edges": (0.25, 0.5, 0.75),
        "champion_scores": (250, 250, 250, 250), "mirror_scores": (250, 250, 250, 250), "blocks": losses(0.2), **parts,
    }  # fmt: skip
    return RehearsalReport.model_validate(given)


def gates(**parts: Any) -> ShadowSpec:
    asked = {"block": "1h", "min_labels": 100, "min_agreement": 0.9, "max_score_shift": 0.2, "margin": 0.1, **parts}
    return ShadowSpec.model_validate(asked)


def answer(judgement: Judgement, gate: str) -> Any:
    return next(result for result in judgement.results if result.gate == gate)


def guard(**parts: Any) -> GuardSpec:
    return GuardSpec.model_validate({"block": "1h", "min_labels": 100, "margin": 0.1, **parts})
