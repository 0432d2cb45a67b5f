"""A decision card: one decision with everything that made it, for a person who was not there. Pure."""

from collections.abc import Sequence
from datetime import datetime

from understudy.contract.airflow_run import COMMAND_LINE
from understudy.contract.cards.evidence import Evidence, data_changes, data_notes, evidence_of, measured, missing_in
from understudy.contract.cards.headline import headline_of
from understudy.contract.cards.links import Link, links_of
from understudy.contract.cards.title import Versions, title_of, verdict_of, versions_of
from understudy.contract.cause import Cause
from understudy.contract.declared import Fact
from understudy.contract.judgement import GateResult
from understudy.contract.read_facts import read_as
from understudy.contract.release import LedgerEntry
from understudy.contract.reports import Comparison, ModelDelta
from understudy.contract.words import EntryKind, Verdict


class Step(Fact):
    """Name what the same run decided later."""

    seq: int
    at: datetime
    title: str


class Card(Fact):
    """Tell one decision: what fired, what was decided by whom, the numbers, and where to read on."""

    seq: int
    at: datetime
    model: str
    kind: EntryKind
    title: str
    """What was decided, in plain words."""
    verdict: Verdict | None = None
    """None for what answers no question: a lock, a rollback by a person."""
    actor: str
    headline: str = ""
    """What decided, value against threshold, in one clause; empty where nothing failed and nothing is in doubt."""
    reason: str
    run: str | None = None
    fired: str = ""
    """What the run was started for; empty where the decision belongs to no run."""
    versions: Versions
    evidence: tuple[Evidence, ...] = ()
    """Each judgement that led here, this decision's own first, with all of its answers."""
    data: tuple[GateResult, ...] = ()
    """Which columns moved, and where values are missing, as the look saw it that asked for the run."""
    data_notes: tuple[str, ...] = ()
    """How many rows the window had and how their labels were shared out, beside the last accepted window."""
    metrics: tuple[Comparison, ...] = ()
    """Challenger and champion on the same rows."""
    delta: ModelDelta | None = None
    """How differently the challenger answers."""
    links: tuple[Link, ...] = ()
    followed: tuple[Step, ...] = ()
    missing: tuple[str, ...] = ()
    """What the ledger should hold about such a decision and does not, or not readably."""

    @property
    def without_run(self) -> str:
        """Say why no run of Airflow belongs to a decision that was typed in a terminal; empty of any other."""
        is_typed = self.run is None and self.actor.endswith(f"({COMMAND_LINE})")
        return "none, it was typed in a terminal of the machine that decided" if is_typed else ""


def card_of(entry: LedgerEntry, around: Sequence[LedgerEntry] = ()) -> Card:
    """Tell a decision by its ledger entry and those around it; what is not there is named, and nothing raises.

    :param around: the entries of the same run, those that its cause names, the deployment record and the accepted
        window of data before it; in any order, others do no harm.
    """
    others = {other.seq: other for other in around if other.model == entry.model and other.seq != entry.seq}
    before = tuple(others[seq] for seq in sorted(others) if seq < entry.seq)
    in_run = tuple(other for other in others.values() if entry.run is not None and other.run == entry.run)
    led_here = tuple(other for other in before if other in in_run)
    cause = _cause((entry, *in_run))
    asked = tuple(others[ask.ledger_seq] for ask in (cause.asks if cause else ()) if ask.ledger_seq in others)
    versions = versions_of(entry, before)
    report = measured((entry, *reversed(led_here)))
    return Card(
        seq=entry.seq,
        at=entry.at,
        model=entry.model,
        kind=entry.kind,
        title=title_of(entry, before),
        verdict=verdict_of(entry),
        actor=entry.actor,
        headline=headline_of(entry),
        reason=entry.reason,
        run=entry.run,
        fired=cause.sentence if cause else "",
        versions=versions,
        evidence=evidence_of(entry, led_here),
        data=data_changes((entry, *reversed(led_here), *asked)),
        data_notes=data_notes((entry, *reversed(led_here)), before),
        metrics=report.comparisons if report else (),
        delta=report.delta if report else None,
        links=links_of(entry, in_run, versions),
        followed=tuple(
            Step(seq=other.seq, at=other.at, title=title_of(other, [*before, entry]))
            for other in sorted(in_run, key=lambda other: other.seq)
            if other.seq > entry.seq
        ),
        missing=missing_in(entry),
    )


def _cause(entries: Sequence[LedgerEntry]) -> Cause | None:
    triggered = (entry.facts.get("cause") for entry in entries if entry.kind is EntryKind.TRIGGERED)
    return next((cause for told in triggered if (cause := read_as(Cause, told)) is not None), None)
