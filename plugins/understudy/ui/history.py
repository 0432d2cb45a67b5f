"""A model's past as its page shows it: who was champion, how versions compare, what looks measured. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.moment import stretch
from understudy.contract.read_facts import read_as, whole_number, word_of
from understudy.contract.release import Bundle, LedgerEntry
from understudy.contract.reports import Comparison
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.reigns import Reign
from understudy.ui.plots import Bar, Plot, Point, Span, bars, plot

SIDE_BY_SIDE = 8
DRIFT_GATE = "drift"


class Version(Fact):
    """Put together what is known of a version."""

    version: int
    trained_at: datetime | None = None
    rows: int | None = None
    verdict: Verdict | None = None
    judged_seq: int | None = None
    """The ledger entry of its judgement."""
    metrics: dict[str, Comparison] = Field(default_factory=dict)
    served: tuple[tuple[datetime, datetime | None], ...] = ()
    """From when to when it was champion; None while it is."""
    denied: str | None = None
    locked: str | None = None
    bundle: Bundle | None = None


class Measured(Fact):
    """Hold what a look measured, for a plot and the table beside it."""

    seq: int
    at: datetime
    verdict: Verdict
    quality: Point | None
    drift: Point | None
    sentence: str


class Plots(Fact):
    """Hold the plots of a model's looks."""

    metric: str
    quality: Plot | None
    drift: Plot | None
    looks: tuple[Measured, ...]


def timeline(reigns: Sequence[Reign], denied: Mapping[int, str], now: datetime) -> tuple[Bar, ...]:
    """Lay out who was champion when."""
    ends = [*(reign.at for reign in reigns[1:]), now]
    return bars(
        [
            Span(
                start=reign.at,
                end=max(end, reign.at),
                label=f"v{reign.champion.version}",
                told=f"version {reign.champion.version}, {stretch(reign.at, end)}, by {reign.actor}: {reign.reason}",
                kind="denied" if reign.champion.version in denied else "now" if reign is reigns[-1] else "",
            )
            for reign, end in zip(reigns, ends, strict=True)
        ]
        if reigns
        else ()
    )


def side_by_side(
    entries: Sequence[LedgerEntry], reigns: Sequence[Reign], denied: Mapping[int, str], locked: Mapping[int, str]
) -> tuple[Version, ...]:
    """Tell of the newest versions, and of the champion however old it is, newest first."""
    found: dict[int, dict[str, object]] = {}
    for entry in entries:
        version = whole_number(entry.facts.get("version"))
        if version is None or entry.kind not in {EntryKind.TRAINED, EntryKind.JUDGED}:
            continue
        about = found.setdefault(version, {})
        about |= _trained(entry) if entry.kind is EntryKind.TRAINED else _judged(entry)
    ends = [*(reign.at for reign in reigns[1:]), None]
    served: dict[int, list[tuple[datetime, datetime | None]]] = {}
    for reign, end in zip(reigns, ends, strict=True) if reigns else ():
        served.setdefault(reign.champion.version, []).append((reign.at, end))
        found.setdefault(reign.champion.version, {})["bundle"] = reign.champion
    newest = sorted(found, reverse=True)[:SIDE_BY_SIDE]
    champion = {reigns[-1].champion.version} if reigns else set()
    return tuple(
        Version.model_validate(
            {
                **found[version],
                "version": version,
                "served": tuple(served.get(version, ())),
                "denied": denied.get(version),
                "locked": locked.get(version),
            }
        )
        for version in sorted({*newest, *champion}, reverse=True)
    )


def _trained(entry: LedgerEntry) -> dict[str, object]:
    training = entry.facts.get("training")
    rows = training.get("rows_trained") if isinstance(training, dict) else None
    return {
        "trained_at": entry.at,
        "rows": whole_number(rows),
        "bundle": read_as(Bundle, entry.facts.get("bundle")),
    }


def _judged(entry: LedgerEntry) -> dict[str, object]:
    report = entry.facts.get("report")
    listed = report.get("comparisons") if isinstance(report, dict) else None
    read = [read_as(Comparison, one) for one in listed] if isinstance(listed, list) else []
    return {
        "verdict": word_of(Verdict, entry.facts.get("verdict")),
        "judged_seq": entry.seq,
        "metrics": {one.metric: one for one in read if one is not None},
    }


def plots(looks: Sequence[LedgerEntry], reigns: Sequence[Reign], drift_share: float | None) -> Plots:
    """Lay out quality and drift over time from a model's looks, oldest first.

    :param drift_share: the share of moved importance that counts as drift now.
    """
    read = [(entry, look) for entry in looks if (look := read_as(Look, entry.facts)) is not None]
    newest = next((look.report.quality for _, look in reversed(read) if look.report.quality is not None), None)
    # A declaration may name another metric at any time: values of two of them make no line.
    metric, blessed = (newest.metric, newest.blessed) if newest else ("", None)
    measured = [_measured(entry, look, metric) for entry, look in read]
    changes = [(reign.at, f"v{reign.champion.version}") for reign in reigns]
    return Plots(
        metric=metric,
        quality=plot([one.quality for one in measured if one.quality], [(blessed, "on its holdout")], changes),
        drift=plot([one.drift for one in measured if one.drift], [(drift_share, "drift")], changes),
        looks=tuple(reversed(measured)),
    )


def _measured(entry: LedgerEntry, look: Look, metric: str) -> Measured:
    at, quality = look.report.as_of, look.report.quality
    if quality is not None and quality.metric != metric:
        quality = None
    drift = next((one for one in look.decision.judgement.results if one.gate == DRIFT_GATE), None)
    value = quality.value if quality else None
    share = drift.measured if drift else None
    return Measured(
        seq=entry.seq,
        at=at,
        verdict=look.decision.judgement.verdict,
        quality=Point(at=at, value=value, low=quality.low, high=quality.high)
        if quality and value is not None
        else None,
        drift=Point(at=at, value=share) if share is not None else None,
        sentence=entry.reason,
    )
