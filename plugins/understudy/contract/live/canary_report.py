"""What the logs say of a canary and its baseline; reports of several gateways can be added up."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime, Field

from understudy.contract.declared import Fact
from understudy.contract.live.rehearsal import RehearsalsDiffer
from understudy.contract.serving import Tally, added
from understudy.contract.words import MirrorLoss


class CanaryQuery(Fact):
    """Ask what the log says of a canary: ``POST /admin/models/{model}/canary``, answered by a report."""

    champion_version: int
    canary_version: int
    since: AwareDatetime
    """When the canary began: from here on labelled rows count."""
    epoch: int = Field(ge=1)
    """The record that gave it the share that it has: what was answered under it counts for everything else."""
    block_s: int = Field(ge=1)
    costs: dict[str, dict[str, float]] | None = None
    """``evaluate.value.costs``: what an answer costs, by the true class and by the answered one."""


class Arm(Fact):
    """Count what one of both sides did since the step began.

    ``tally`` counts the requests that were the side's to answer, and as errors those that the champion had to answer
    in its place. ``score_ms`` counts, of each number of requests that were scored together, equally many of both sides.
    """

    tally: Tally = Tally()
    lost: dict[MirrorLoss, int] = Field(default_factory=dict)
    """Requests that the champion had to answer, by reason."""
    loose: int = 0
    """Requests that carried no key, so that each was assigned by itself."""
    squares: float = 0.0
    """The sum over keys of the square of their number of requests: the more, the less their number says."""
    scores: tuple[int, ...] = ()
    """Rows by score, as in a rehearsal."""

    def plus(self, other: "Arm") -> "Arm":
        """Add what another gateway counted. A key may be in both: the sum of squares is the largest that is possible.

        By Minkowski's inequality, the root of the sum's squares is at most the sum of both roots.
        """
        return Arm(
            tally=self.tally.plus(other.tally),
            lost=dict(Counter(self.lost) + Counter(other.lost)),
            loose=self.loose + other.loose,
            squares=(math.sqrt(self.squares) + math.sqrt(other.squares)) ** 2,
            scores=added(self.scores, other.scores),
        )


class ArmLosses(Fact):
    """Sum what the labelled rows of one side cost in one time block."""

    rows: int = 0
    loss: float = 0.0
    value: float | None = 0.0
    """What the answers were worth, where that is declared; None where it is not known of all of them."""

    def plus(self, other: "ArmLosses") -> "ArmLosses":
        """Add what another gateway counted."""
        return ArmLosses(
            rows=self.rows + other.rows,
            loss=self.loss + other.loss,
            value=None if self.value is None or other.value is None else self.value + other.value,
        )


class CanaryBlock(Fact):
    """Hold the labelled rows of one time block; each was answered by one side only."""

    start: datetime
    canary: ArmLosses = ArmLosses()
    baseline: ArmLosses = ArmLosses()


class CanaryReport(Fact):
    """Compare a canary with a fresh copy of the champion, on the requests of different callers."""

    model: str
    champion_version: int
    canary_version: int
    gateways: tuple[str, ...]
    since: datetime
    epoch: int
    until: datetime
    canary: Arm
    baseline: Arm
    score_edges: tuple[float, ...] = ()
    is_valued: bool = False
    """Whether it is declared what an answer is worth."""
    blocks: tuple[CanaryBlock, ...] = ()
    """By start, since the canary began."""


def merged_canary(reports: Sequence[CanaryReport]) -> CanaryReport:
    """Add the reports of all gateways.

    Score histograms over different edges cannot be added and are left out, so that a gate about them stays undecided.

    :raises RehearsalsDiffer: where they are about different versions or times, or name a gateway twice.
    """
    first = reports[0]
    about = {
        (report.model, report.champion_version, report.canary_version, report.since, report.epoch) for report in reports
    }
    if len(about) > 1:
        raise RehearsalsDiffer(first.model, "they are about different versions or times")
    gateways = [gateway for report in reports for gateway in report.gateways]
    twice = [gateway for gateway, count in Counter(gateways).items() if count > 1]
    if twice:
        raise RehearsalsDiffer(first.model, f"gateway {twice[0]} is counted twice")
    edges = {report.score_edges for report in reports if report.score_edges}
    canary, baseline = first.canary, first.baseline
    for report in reports[1:]:
        canary, baseline = canary.plus(report.canary), baseline.plus(report.baseline)
    if len(edges) > 1:
        canary, baseline = (arm.model_copy(update={"scores": ()}) for arm in (canary, baseline))
    return first.model_copy(
        update={
            "gateways": tuple(gateways),
            "until": min(report.until for report in reports),
            "canary": canary,
            "baseline": baseline,
            "score_edges": next(iter(edges)) if len(edges) == 1 else (),
            "blocks": _blocks(reports),
        }
    )


def _blocks(reports: Sequence[CanaryReport]) -> tuple[CanaryBlock, ...]:
    by_start: dict[datetime, CanaryBlock] = {}
    for block in (block for report in reports for block in report.blocks):
        known = by_start.get(block.start, CanaryBlock(start=block.start))
        by_start[block.start] = CanaryBlock(
            start=block.start,
            canary=known.canary.plus(block.canary),
            baseline=known.baseline.plus(block.baseline),
        )
    return tuple(by_start[start] for start in sorted(by_start))
