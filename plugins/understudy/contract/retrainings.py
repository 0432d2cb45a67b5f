"""What the ledger says of looks and retrainings: which were asked for, which began, how they ended. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from understudy.contract.cause import Cause
from understudy.contract.declared import Fact, format_duration
from understudy.contract.local_run import LocalRun, local_run_in
from understudy.contract.moment import moment
from understudy.contract.monitoring import Decision, History, MonitorReport, PastLook
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind, Outcome, Trigger, Verdict

KINDS = (EntryKind.MONITORED, EntryKind.TRIGGERED, EntryKind.CONCLUDED)
DRIFT_GATE = "drift"
KEPT_COLUMNS = 20
BROKEN = {Outcome.BROKEN, Outcome.DATA_REFUSED}


class Look(Fact):
    """Say what a look saw and decided; the facts of a ledger entry."""

    report: MonitorReport
    """Without the columns that are as usual, which are in the report that MLflow keeps."""
    decision: Decision
    is_due: bool
    """Whether a retraining is asked for: by the decision, or because the champion is taken back."""
    is_breach: bool = False
    """Whether the champion lost its quality within its probation and is taken back."""
    champion_since: int
    """The epoch at which the champion began to serve."""
    pretended: datetime | None = None
    """The time that the look was told to pretend."""
    trouble: tuple[str, ...] = ()
    """What became of retrainings that earlier looks asked for, where they did not begin or end well."""
    reports_sha256: dict[str, str] = Field(default_factory=dict)
    """Digests of the reports that it wrote for people, by what they are about."""
    dag_id: str = ""
    run_id: str = ""
    """The run in Airflow; empty of looks from before this was kept."""

    @property
    def has_found(self) -> bool:
        """Tell whether it found something: its reports are kept then, those of others give way to the next."""
        return self.is_due or self.decision.judgement.verdict is Verdict.FAILED

    @property
    def is_blind(self) -> bool:
        """Tell whether the rows could not be compared with the reference at all."""
        answers = {answer.gate: answer.verdict for answer in self.decision.judgement.results}
        return answers.get(DRIFT_GATE, Verdict.INCONCLUSIVE) is Verdict.INCONCLUSIVE


class Recorded(Fact):
    """A look with its place in the ledger."""

    seq: int
    hash: str
    at: datetime
    run: str | None
    look: Look


class Begun(Fact):
    """A retraining that began."""

    seq: int
    at: datetime
    as_of: datetime
    run: str | None
    cause: Cause
    may_promote: bool
    outcome: Outcome | None = None
    sentence: str = ""
    """How it ended; empty while it runs."""
    local: LocalRun | None = None
    """Where it has its process; None where a scheduler runs it."""

    @property
    def is_broken(self) -> bool:
        """Tell whether it ended without a challenger."""
        return self.outcome in BROKEN


class Retrainings(Fact):
    """Hold a model's newest looks and retrainings, each newest first."""

    looks: tuple[Recorded, ...] = ()
    begun: tuple[Begun, ...] = ()

    @classmethod
    def told(cls, entries: Iterable[LedgerEntry]) -> "Retrainings":
        """Read ledger entries, newest first; entries of other kinds are passed over."""
        looks: list[Recorded] = []
        begun: list[Begun] = []
        ends: dict[str | None, LedgerEntry] = {}
        for entry in entries:
            if entry.kind is EntryKind.MONITORED:
                look = Look.model_validate(entry.facts)
                looks.append(Recorded(seq=entry.seq, hash=entry.hash, at=entry.at, run=entry.run, look=look))
            elif entry.kind is EntryKind.CONCLUDED:
                ends.setdefault(entry.run, entry)
            elif entry.kind is EntryKind.TRIGGERED and "cause" in entry.facts:
                begun.append(_begun(entry, ends.get(entry.run)))
        return cls(looks=tuple(looks), begun=tuple(begun))

    def answer_to(self, seq: int) -> Begun | None:
        """Find a retraining that began after a ledger entry and may promote; the past and dry runs answer nothing."""
        return next((begun for begun in reversed(self.begun) if begun.seq > seq and _counts(begun)), None)

    def unanswered(self) -> Recorded | None:
        """Find the oldest look whose request no retraining has followed."""
        newest = next((begun.seq for begun in self.begun if _counts(begun)), 0)
        return next((one for one in reversed(self.looks) if one.look.is_due and one.seq > newest), None)

    def history(self, now: datetime, grace: timedelta, pretended: datetime | None = None) -> History:
        """Tell a decision of the past.

        A request that nobody followed within the grace counts as none, so that it can be made again.

        :param now: the clock's time, whatever time the look pretends.
        :param pretended: what came later than this is not known yet. Others know all that is recorded: of two looks at
            once, the one that is recorded first may be the later one by its own time.
        """
        asked = [
            one.look.report.as_of
            for one in self.looks
            if one.look.is_due and (self.answer_to(one.seq) is not None or now - one.at <= grace)
        ]
        own = [begun.as_of for begun in self.begun if _counts(begun) and not self._answers_a_look(begun)]
        return History(
            looks=tuple(_past(one) for one in self.looks if pretended is None or one.look.report.as_of <= pretended),
            retrained=tuple(
                sorted((at for at in (*asked, *own) if pretended is None or at <= pretended), reverse=True)
            ),
        )

    def trouble(self, now: datetime, grace: timedelta, timeout: timedelta) -> tuple[str, ...]:
        """Say what became of retrainings that should have begun or ended; one sentence each."""
        # There is one at a time: what began later shows that an earlier one is over, though it never said so.
        running = next((begun for begun in self.begun[:1] if begun.outcome is None), None)
        if running is not None and now - running.at > timeout:
            where = running.local.sentence if running.local else "look at its run in Airflow"
            return (
                f"the retraining that began at {moment(running.at)} had to be over by {moment(running.at + timeout)}; "
                f"{where}",
            )
        waiting = self.unanswered()
        if waiting is not None and running is None and now - waiting.at > grace:
            return (
                f"a retraining is due since {moment(waiting.at)} and none has begun; is the DAG "
                f"retrain__{waiting.look.report.model} paused or broken?",
            )
        newest = next((begun for begun in self.begun if _counts(begun)), None)
        if newest is not None and newest.is_broken:
            return (f"the retraining that began at {moment(newest.at)} ended {newest.outcome}: {newest.sentence}",)
        return ()

    def _answers_a_look(self, begun: Begun) -> bool:
        before = max((other.seq for other in self.begun if other.seq < begun.seq and _counts(other)), default=0)
        return any(one.look.is_due and before < one.seq < begun.seq for one in self.looks)


def why_held_back(cause: Cause, past: Retrainings, run: str, now: datetime, cooldown: timedelta) -> str | None:
    """Say why a run that events have started retrains nothing; None where it has to.

    A look asks once, and what began since has answered it. Other systems' events keep the cool-down.
    """
    if not cause.events:
        return None
    others = past.model_copy(update={"begun": tuple(begun for begun in past.begun if begun.run != run)})
    if any(others.answer_to(ask.ledger_seq) is None for ask in cause.asks):
        return None
    if Trigger.EXTERNAL not in cause.reasons:
        return f"the retraining of {moment(_at(others, cause))} has answered what this run was started for"
    newest = next((begun for begun in others.begun if _counts(begun) and not begun.is_broken), None)
    if newest is None or now - newest.at >= cooldown:
        return None
    return (
        f"another system asks for a retraining, and one began at {moment(newest.at)}, within the cool-down of "
        f"{format_duration(cooldown)}; start one by hand if it cannot wait"
    )


def blind_in_a_row(looks: Sequence[Recorded]) -> int:
    """Count the newest looks, newest first, that could not compare anything."""
    return next((count for count, one in enumerate(looks) if not one.look.is_blind), len(looks))


def trimmed(report: MonitorReport) -> MonitorReport:
    """Leave out the columns that are as usual: the ledger keeps every look for ever, and there is one every hour."""
    if report.drift is None:
        return report
    told = tuple(column for column in report.drift.columns if column.has_moved or column.has_gaps)[:KEPT_COLUMNS]
    skew = tuple(column for column in report.drift.skew if column.has_moved or not column.is_measured)[:KEPT_COLUMNS]
    drift = report.drift.model_copy(update={"columns": told, "skew": skew, "invariants": ()})
    return report.model_copy(update={"drift": drift})


def _at(past: Retrainings, cause: Cause) -> datetime:
    answers = [past.answer_to(ask.ledger_seq) for ask in cause.asks]
    return max(answer.at for answer in answers if answer is not None)


def _counts(begun: Begun) -> bool:
    return begun.may_promote


def _begun(entry: LedgerEntry, end: LedgerEntry | None) -> Begun:
    facts = entry.facts
    return Begun(
        seq=entry.seq,
        at=entry.at,
        as_of=datetime.fromisoformat(str(facts["as_of"])),
        run=entry.run,
        cause=Cause.model_validate(facts["cause"]),
        may_promote=bool(facts.get("may_promote")),
        outcome=Outcome(str(end.facts["outcome"])) if end else None,
        sentence=end.reason if end else "",
        local=local_run_in(entry),
    )


def _past(one: Recorded) -> PastLook:
    look = one.look
    return PastLook(
        at=look.report.as_of,
        champion_version=look.report.champion_version,
        window_end=look.report.window_end,
        is_drifting=look.decision.is_drifting,
        is_conclusive=not look.is_blind,
    )
