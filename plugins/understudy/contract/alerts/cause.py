"""Which ledger entries people are told of, and under which key, so that nobody is told twice. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from understudy.contract.alerts.undecided import blind_looks, undecided_runs
from understudy.contract.breach import breach_in
from understudy.contract.cards.title import verdict_of, versions_of
from understudy.contract.declared import DRILL_MODEL, Fact
from understudy.contract.read_facts import read_as, word_of
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.retrainings import Look
from understudy.contract.words import AlertKind, Answer, Change, EntryKind, Outcome, Verdict

AGE_GATE = "age"


class Told(Fact):
    """Say that an entry is told, as what, and under which key."""

    kind: AlertKind
    key: str


def told_of(entry: LedgerEntry, before: Sequence[LedgerEntry], patience: int) -> tuple[Told, ...]:
    """Say what people are told of an entry; nothing of most.

    :param before: earlier entries of the model: those of the same run, the deployment record before it, and the newest
        looks and runs, back to where the row of those began that could not decide.
    :param patience: after how many looks, or retrainings, in a row that could not decide people are told.
    """
    rule = _RULES.get(entry.kind)
    if rule is None or (entry.model == DRILL_MODEL and entry.kind is not EntryKind.DRILLED):
        return ()
    earlier = sorted(
        (other for other in before if other.model == entry.model and other.seq < entry.seq),
        key=lambda other: -other.seq,
    )
    return tuple(rule(entry, earlier, patience))


def _concluded(entry: LedgerEntry, earlier: Sequence[LedgerEntry], patience: int) -> Iterable[Told]:
    outcome = word_of(Outcome, entry.facts.get("outcome"))
    own = f"{entry.model}/{entry.run}/{outcome}"
    in_run = [other for other in earlier if other.run == entry.run]
    if outcome in {Outcome.DATA_REFUSED, Outcome.PROMOTION_REFUSED, Outcome.REJECTED}:
        yield Told(kind=AlertKind.REFUSED, key=f"refused/{own}")
    if outcome is Outcome.BROKEN:
        serves = entry.facts.get("champion") in {None, entry.facts.get("version")}
        is_open = serves and breach_in(in_run) is not None and not any(map(_is_rollback, in_run))
        kind = AlertKind.ROLLBACK_FAILED if is_open else AlertKind.RUN_BROKEN
        # Without the outcome: a run that the sweep found broken is not told again when it says so itself.
        yield Told(kind=kind, key=f"{kind}/{entry.model}/{entry.run}")
    if outcome is Outcome.DECLINED:
        streak = undecided_runs([entry, *earlier]).names
        if entry.run not in streak:
            yield Told(kind=AlertKind.REFUSED, key=f"refused/{own}")
        elif len(streak) >= patience:
            yield Told(kind=AlertKind.INCONCLUSIVE, key=f"inconclusive/{entry.model}/run/{streak[-1]}")


def _deployed(entry: LedgerEntry, earlier: Sequence[LedgerEntry], _patience: int) -> Iterable[Told]:
    if _is_rollback(entry):
        left = versions_of(entry, earlier[::-1]).other
        yield Told(kind=AlertKind.ROLLED_BACK, key=_rolled_back(entry, left))


def _broke_glass(entry: LedgerEntry, _earlier: Sequence[LedgerEntry], _patience: int) -> Iterable[Told]:
    taken = entry.facts.get("taken_back")
    # Each gateway reports it, and a rollback follows; the version is denied from then on, so its number says it all.
    left = taken.get("version") if isinstance(taken, dict) else None
    yield Told(kind=AlertKind.ROLLED_BACK, key=_rolled_back(entry, left))


def _rolled_back(entry: LedgerEntry, left: object) -> str:
    return f"rolled_back/{entry.model}/{left if left is not None else f'entry {entry.seq}'}"


def _monitored(entry: LedgerEntry, earlier: Sequence[LedgerEntry], patience: int) -> Iterable[Told]:
    looks = [(told.seq, look) for told in (entry, *earlier) if (look := _look(told)) is not None]
    if not looks or looks[0][0] != entry.seq:
        return
    since = looks[0][1].champion_since
    # What lasted longer was told by an earlier look; a new champion is a new story. A look that could not say neither
    # ends what lasts nor begins it.
    newest, *before = (look for _, look in looks if look.champion_since == since)
    for kind, verdict_of_it in ((AlertKind.DRIFT, _drifts), (AlertKind.CHAMPION_STALE, _is_stale)):
        last = next((told for look in before if (told := verdict_of_it(look)) is not None), False)
        if verdict_of_it(newest) and not last:
            yield Told(kind=kind, key=f"{kind}/{entry.model}/look/{entry.seq}")
    # Under the key of the first, and not only at the last that patience allows: patience may have been lowered since.
    blind = blind_looks([entry, *earlier]).names
    if len(blind) >= patience:
        yield Told(kind=AlertKind.INCONCLUSIVE, key=f"{AlertKind.INCONCLUSIVE}/{entry.model}/look/{blind[-1]}")


def _approval_asked(entry: LedgerEntry, _earlier: Sequence[LedgerEntry], _patience: int) -> Iterable[Told]:
    yield Told(kind=AlertKind.APPROVAL_WAITS, key=f"approval_waits/{entry.model}/{entry.seq}")


def _approval_answered(entry: LedgerEntry, _earlier: Sequence[LedgerEntry], _patience: int) -> Iterable[Told]:
    if word_of(Answer, entry.facts.get("answer")) is Answer.VOID:
        yield Told(kind=AlertKind.ANSWER_VOID, key=f"answer_void/{entry.model}/{entry.seq}")


def _drilled(entry: LedgerEntry, _earlier: Sequence[LedgerEntry], _patience: int) -> Iterable[Told]:
    if verdict_of(entry) is not Verdict.PASSED:
        yield Told(kind=AlertKind.ROLLBACK_FAILED, key=f"rollback_failed/{entry.model}/{entry.run}")


def _drifts(look: Look) -> bool | None:
    return None if look.is_blind and not look.decision.is_drifting else look.decision.is_drifting


def _is_stale(look: Look) -> bool | None:
    age = next((answer.verdict for answer in look.decision.judgement.results if answer.gate == AGE_GATE), None)
    return None if age is Verdict.INCONCLUSIVE else age is Verdict.FAILED


def _look(entry: LedgerEntry) -> Look | None:
    return read_as(Look, entry.facts) if entry.kind is EntryKind.MONITORED else None


def _is_rollback(entry: LedgerEntry) -> bool:
    if entry.kind is not EntryKind.DEPLOYED:
        return False
    record = read_as(Deployment, entry.facts.get("deployment"))
    return record is not None and record.change is Change.ROLLBACK


_RULES: Mapping[EntryKind, Callable[[LedgerEntry, Sequence[LedgerEntry], int], Iterable[Told]]] = MappingProxyType(
    {
        EntryKind.CONCLUDED: _concluded,
        EntryKind.DEPLOYED: _deployed,
        EntryKind.BROKE_GLASS: _broke_glass,
        EntryKind.MONITORED: _monitored,
        EntryKind.DRILLED: _drilled,
        EntryKind.APPROVAL_ASKED: _approval_asked,
        EntryKind.APPROVAL_ANSWERED: _approval_answered,
    }
)
TOLD_KINDS = tuple(_RULES)
"""The kinds of entries that may have to be told."""
