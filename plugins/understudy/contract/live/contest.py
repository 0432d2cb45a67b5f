"""Two versions that answered live requests: which one has to do as well as which."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from understudy.contract.declaration.serving import LiveGates, RehearsalGates
from understudy.contract.judgement import GateResult, Lack, is_usable
from understudy.contract.serving import LossBlock, RehearsalReport, Tally
from understudy.contract.words import MirrorLoss, Verdict


class Side(NamedTuple):
    """One of the two versions, with what it lost per labelled row in each block."""

    name: str
    tally: Tally
    losses: tuple[float, ...]
    asked: int
    """Requests that it was to answer."""
    failed: int
    scores: tuple[int, ...]


class Contest(NamedTuple):
    """Who has to do as well as whom, by what, and on what evidence."""

    gates: LiveGates
    candidate: Side
    baseline: Side
    compared: int
    """Requests whose answers can be compared."""
    score_bins: int
    reasons: Mapping[MirrorLoss, int]
    """Why requests of the candidate were lost."""
    is_excused: bool
    """Whether what both sides fail at alike is nobody's fault."""
    labels: int
    """Labelled rows, those of unfinished blocks included; of the side that has fewer."""
    block_rows: int
    """Labelled rows of the blocks that the losses are about; of the side that has fewer."""
    has_sound_losses: bool


def contest_of(report: RehearsalReport, gates: RehearsalGates, *, is_probation: bool) -> Contest:
    """Tell candidate and baseline apart: in a rehearsal the mirror is the candidate, in probation the champion."""
    blocks = tuple(block for block in report.blocks if block.rows > 0 and block.start + gates.block <= report.until)
    champion, mirror = _sides(report, blocks)
    candidate, baseline = (champion, mirror) if is_probation else (mirror, champion)
    return Contest(
        gates=gates,
        candidate=candidate,
        baseline=baseline,
        compared=report.pairs,
        score_bins=len(report.score_edges) + 1,
        reasons={} if is_probation else report.unpaired,
        is_excused=is_probation,
        labels=sum(block.rows for block in report.blocks),
        block_rows=sum(block.rows for block in blocks),
        has_sound_losses=all(are_sound(block.rows, block.champion_loss, block.mirror_loss) for block in report.blocks),
    )


def unanswered(gate: str, bound: str, sentence: str, lack: Lack | None = None) -> GateResult:
    """Leave a question open, and say why."""
    return GateResult(gate=gate, verdict=Verdict.INCONCLUSIVE, bound=bound, sentence=sentence, lack=lack)


def are_sound(rows: int, *losses: float) -> bool:
    """Tell whether these can be sums of losses; a share of a negative loss would be no bound."""
    return rows >= 0 and all(is_usable(loss) and loss >= 0 for loss in losses)


def _sides(report: RehearsalReport, blocks: Sequence[LossBlock]) -> tuple[Side, Side]:
    # A mirrored request that the mirror never answered counts against it: under this load, it would have been an error.
    lost = sum(report.unpaired.values())
    champion = Side(
        f"version {report.champion_version}",
        report.champion,
        tuple(block.champion_loss / block.rows for block in blocks),
        asked=report.champion.requests,
        failed=report.champion.errors,
        scores=report.champion_scores,
    )
    mirror = Side(
        f"version {report.mirror_version}",
        report.mirror,
        tuple(block.mirror_loss / block.rows for block in blocks),
        asked=report.pairs + lost,
        failed=lost,
        scores=report.mirror_scores,
    )
    return champion, mirror
