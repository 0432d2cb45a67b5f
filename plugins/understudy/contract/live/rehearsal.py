"""Reports of several gateways on one rehearsal, added up."""

from collections import Counter
from collections.abc import Sequence

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import LossBlock, RehearsalReport


class RehearsalsDiffer(UnderstudyError):
    """Reports are not about the same thing, so their sum would mean nothing."""

    def __init__(self, model: str, problem: str) -> None:
        self.model, self.problem = model, problem
        super().__init__(
            f"The gateways' reports on {model} cannot be added: {problem}. Look at `understudy status {model}` and at "
            "AIRFLOW__UNDERSTUDY__GATEWAYS."
        )


def merged(reports: Sequence[RehearsalReport]) -> RehearsalReport:
    """Add the reports of all gateways.

    Score histograms over different edges cannot be added and are left out, so that a gate about them stays undecided.

    :raises RehearsalsDiffer: where they compare different versions, or name a gateway twice.
    """
    first = reports[0]
    versions = {(report.model, report.champion_version, report.mirror_version) for report in reports}
    if len(versions) > 1:
        told = ", ".join(f"{model} {champion}/{mirror}" for model, champion, mirror in sorted(versions))
        raise RehearsalsDiffer(first.model, f"they compare different versions ({told})")
    gateways = [gateway for report in reports for gateway in report.gateways]
    twice = [gateway for gateway, count in Counter(gateways).items() if count > 1]
    if twice:
        raise RehearsalsDiffer(first.model, f"gateway {twice[0]} is counted twice")
    edges = {report.score_edges for report in reports if report.score_edges}
    champion, mirror = first.champion, first.mirror
    unpaired = Counter(first.unpaired)
    for report in reports[1:]:
        champion, mirror = champion.plus(report.champion), mirror.plus(report.mirror)
        unpaired.update(report.unpaired)
    return RehearsalReport(
        model=first.model,
        champion_version=first.champion_version,
        mirror_version=first.mirror_version,
        gateways=tuple(gateways),
        since=min(report.since for report in reports),
        # A block is over when it is over at every gateway.
        until=min(report.until for report in reports),
        champion=champion,
        mirror=mirror,
        unpaired=dict(unpaired),
        pairs=sum(report.pairs for report in reports),
        rows=sum(report.rows for report in reports),
        agreeing_rows=sum(report.agreeing_rows for report in reports),
        score_edges=next(iter(edges)) if len(edges) == 1 else (),
        champion_scores=_sum([report.champion_scores for report in reports]) if len(edges) == 1 else (),
        mirror_scores=_sum([report.mirror_scores for report in reports]) if len(edges) == 1 else (),
        blocks=_blocks(reports),
    )


def _sum(histograms: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    counted = [counts for counts in histograms if counts]
    return tuple(sum(counts) for counts in zip(*counted, strict=True))


def _blocks(reports: Sequence[RehearsalReport]) -> tuple[LossBlock, ...]:
    by_start: dict[object, LossBlock] = {}
    for block in (block for report in reports for block in report.blocks):
        known = by_start.get(block.start)
        by_start[block.start] = (
            block
            if known is None
            else LossBlock(
                start=block.start,
                rows=known.rows + block.rows,
                champion_loss=known.champion_loss + block.champion_loss,
                mirror_loss=known.mirror_loss + block.mirror_loss,
            )
        )
    return tuple(sorted(by_start.values(), key=lambda block: block.start))
