"""Two versions that answered the same live requests: which one has to do as well as which."""

from collections.abc import Sequence
from typing import NamedTuple

from understudy.contract.judgement import GateResult
from understudy.contract.serving import LossBlock, RehearsalReport, Tally
from understudy.contract.serving_spec import RehearsalGates
from understudy.contract.words import Verdict


class Side(NamedTuple):
    """One of the two versions, with what it lost per labelled row in each block."""

    name: str
    tally: Tally
    losses: tuple[float, ...]
    asked: int
    """Requests that it was to answer."""
    failed: int


class Contest(NamedTuple):
    """Who has to do as well as whom, by what, and as what."""

    report: RehearsalReport
    gates: RehearsalGates
    candidate: Side
    baseline: Side
    blocks: tuple[LossBlock, ...]
    """Blocks that are over and hold labelled rows."""
    is_probation: bool


def contest_of(report: RehearsalReport, gates: RehearsalGates, *, is_probation: bool) -> Contest:
    """Tell candidate and baseline apart: in a rehearsal the mirror is the candidate, in probation the champion."""
    blocks = tuple(block for block in report.blocks if block.rows > 0 and block.start + gates.block <= report.until)
    champion, mirror = _sides(report, blocks)
    candidate, baseline = (champion, mirror) if is_probation else (mirror, champion)
    return Contest(report, gates, candidate, baseline, blocks, is_probation)


def unanswered(gate: str, bound: str, sentence: str) -> GateResult:
    """Leave a question open, and say why."""
    return GateResult(gate=gate, verdict=Verdict.INCONCLUSIVE, bound=bound, sentence=sentence)


def _sides(report: RehearsalReport, blocks: Sequence[LossBlock]) -> tuple[Side, Side]:
    # A mirrored request that the mirror never answered counts against it: under this load, it would have been an error.
    lost = sum(report.unpaired.values())
    champion = Side(
        f"version {report.champion_version}",
        report.champion,
        tuple(block.champion_loss / block.rows for block in blocks),
        asked=report.champion.requests,
        failed=report.champion.errors,
    )
    mirror = Side(
        f"version {report.mirror_version}",
        report.mirror,
        tuple(block.mirror_loss / block.rows for block in blocks),
        asked=report.pairs + lost,
        failed=lost,
    )
    return champion, mirror
