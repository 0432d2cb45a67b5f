"""The numbers of a decision card: judgements, what is different about the data, champion against challenger. Pure."""

from collections.abc import Iterable, Sequence

from understudy.contract.cause import Cause
from understudy.contract.declared import Fact
from understudy.contract.judgement import COUNTED, GateResult, Judgement
from understudy.contract.judges.drift import threshold_of
from understudy.contract.monitoring import ColumnDrift, Decision, MonitorReport
from understudy.contract.read_facts import read_as, whole_number, word_of
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.reports import EvaluationReport, LabelsReport
from understudy.contract.words import EntryKind, Verdict

JUDGING = (
    EntryKind.DATA_JUDGED,
    EntryKind.JUDGED,
    EntryKind.REHEARSED,
    EntryKind.CANARIED,
    EntryKind.GUARDED,
    EntryKind.DRILLED,
    EntryKind.MONITORED,
)
KEPT_COLUMNS = 20
"""How many columns of data are shown; the report has all."""
NEEDED: dict[EntryKind, tuple[str, ...]] = {
    EntryKind.TRIGGERED: ("cause",),
    EntryKind.DATA_JUDGED: ("verdict", "rows"),
    EntryKind.JUDGED: ("judgement", "report"),
    EntryKind.BLESSED: ("challenger",),
    EntryKind.DEPLOYED: ("deployment",),
    EntryKind.REHEARSED: ("judgement",),
    EntryKind.CANARIED: ("judgement",),
    EntryKind.GUARDED: ("judgement",),
    EntryKind.DRILLED: ("judgement",),
    EntryKind.MONITORED: ("decision", "report"),
    EntryKind.CONCLUDED: ("outcome",),
}


class Evidence(Fact):
    """Show one judgement: which entry it is, and each question with its numbers."""

    seq: int
    kind: EntryKind
    verdict: Verdict | None
    sentence: str
    answers: tuple[GateResult, ...]


def evidence_of(entry: LedgerEntry, led_here: Sequence[LedgerEntry]) -> tuple[Evidence, ...]:
    """Give the entry's own judgement, then the newest of each kind that led to it, newest first."""
    newest: dict[EntryKind, Evidence] = {}
    for told in (entry, *sorted(led_here, key=lambda other: -other.seq)):
        if told.kind in JUDGING and told.kind not in newest:
            newest[told.kind] = _evidence(told)
    return tuple(newest.values())


def measured(entries: Iterable[LedgerEntry]) -> EvaluationReport | None:
    """Find what was measured of champion and challenger."""
    for entry in entries:
        if entry.kind is EntryKind.JUDGED:
            report = read_as(EvaluationReport, entry.facts.get("report"))
            if report is not None:
                return report
    return None


def data_changes(entries: Iterable[LedgerEntry]) -> tuple[GateResult, ...]:
    """Show which columns moved further than usual, and where values are missing, as the newest look saw it."""
    looks = (entry.facts.get("report") for entry in entries if entry.kind is EntryKind.MONITORED)
    moved = (_moved(read_as(MonitorReport, report)) for report in looks)
    return next((changes for changes in moved if changes), ())[:KEPT_COLUMNS]


def data_notes(entries: Iterable[LedgerEntry], before: Sequence[LedgerEntry]) -> tuple[str, ...]:
    """Say how many rows there were, and how their labels were shared out, beside the last window that was accepted."""
    for entry in entries:
        if entry.kind is EntryKind.DATA_JUDGED:
            accepted = [
                other
                for other in before
                if other.kind is EntryKind.DATA_JUDGED
                and other.run != entry.run
                and other.facts.get("verdict") == Verdict.PASSED.value
            ]
            return tuple(_compared(entry, accepted[-1] if accepted else None))
        if entry.kind is EntryKind.LABELLED:
            names = LabelsReport.model_fields
            report = read_as(LabelsReport, {name: entry.facts.get(name) for name in names})
            return (f"{report.usable:,} usable labels in {report.rows:,} rows",) if report else ()
    return ()


def missing_in(entry: LedgerEntry) -> tuple[str, ...]:
    """Name what an entry of this kind should hold and does not, or not in a form that is known here."""
    readers: dict[str, type[Fact]] = {
        "cause": Cause,
        "decision": Decision,
        "deployment": Deployment,
        "judgement": Judgement,
    }
    if entry.kind is EntryKind.JUDGED:
        readers["report"] = EvaluationReport
    if entry.kind is EntryKind.MONITORED:
        readers["report"] = MonitorReport
    missing = []
    for name in NEEDED.get(entry.kind, ()):
        value = entry.facts.get(name)
        if value is None:
            missing.append(f"{name} is not in the ledger entry")
        elif name in readers and read_as(readers[name], value) is None:
            missing.append(f"{name} of the ledger entry cannot be read by this version of Understudy")
    return tuple(missing)


def judgement_in(entry: LedgerEntry) -> Judgement | None:
    """Read the judgement that an entry holds; None where it holds none, or not readably."""
    if entry.kind is EntryKind.MONITORED:
        decision = read_as(Decision, entry.facts.get("decision"))
        return decision.judgement if decision else None
    return read_as(Judgement, entry.facts.get("judgement"))


def _evidence(entry: LedgerEntry) -> Evidence:
    judgement = judgement_in(entry)
    verdict = judgement.verdict if judgement else None
    answers = judgement.results if judgement else _answers(entry.facts.get("answers"))
    if entry.kind is EntryKind.DATA_JUDGED:
        verdict = word_of(Verdict, entry.facts.get("verdict"))
    return Evidence(seq=entry.seq, kind=entry.kind, verdict=verdict, sentence=entry.reason, answers=answers)


def _answers(value: object) -> tuple[GateResult, ...]:
    listed = value if isinstance(value, list) else []
    return tuple(answer for one in listed if (answer := read_as(GateResult, one)) is not None)


def _moved(report: MonitorReport | None) -> tuple[GateResult, ...]:
    if report is None or report.drift is None:
        return ()
    columns = [*report.drift.columns, *([report.drift.prediction] if report.drift.prediction else [])]
    moved = [_distance(column) for column in columns if column.has_moved]
    return (*moved, *(_gaps(column) for column in columns if column.has_gaps))


def _distance(column: ColumnDrift) -> GateResult:
    return GateResult(
        gate=column.column,
        verdict=Verdict.FAILED,
        measured=column.distance,
        what="distance",
        basis=threshold_of(column),
        bound=f"below {column.threshold:.4g}",
        sentence=f"{column.column} moved by {column.distance:.4g} ({column.method}); {column.threshold:.4g} is usual",
    )


def _gaps(column: ColumnDrift) -> GateResult:
    now, then, allowed = column.null_share or 0.0, column.reference_null_share or 0.0, column.null_threshold or 0.0
    return GateResult(
        gate=f"{column.column} missing",
        verdict=Verdict.FAILED,
        measured=now,
        what="share of the values",
        basis=COUNTED,
        bound=f"within {allowed:.4g} of {then:.4g}",
        sentence=f"{now:.1%} of {column.column} are missing; {then:.1%} were in the reference window",
    )


def _compared(entry: LedgerEntry, accepted: LedgerEntry | None) -> Iterable[str]:
    rows, bad = whole_number(entry.facts.get("rows")), whole_number(entry.facts.get("bad_rows"))
    usual = whole_number(accepted.facts.get("rows")) if accepted else None
    if rows is not None:
        beside = f"; the last accepted window had {usual:,}" if usual is not None else ""
        yield f"{rows:,} rows, {bad or 0:,} of them with a bad cell{beside}"
    shares, earlier = _shares(entry), _shares(accepted) if accepted else {}
    for label, share in sorted(shares.items()):
        beside = f"; it was {earlier[label]:.1%}" if label in earlier else ""
        yield f"label {label}: {share:.1%} of the rows{beside}"


def _shares(entry: LedgerEntry) -> dict[str, float]:
    shares = entry.facts.get("label_shares")
    listed = shares.items() if isinstance(shares, dict) else ()
    return {str(label): float(share) for label, share in listed if isinstance(share, int | float)}
