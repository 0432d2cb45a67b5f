"""Say in plain words what a ledger entry decided, about which versions, and with which verdict. Pure."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from understudy.contract.declared import Fact
from understudy.contract.monitoring import Decision
from understudy.contract.read_facts import read_as, whole_number, word_of
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import Answer, Change, EntryKind, Outcome, Verdict


class Versions(Fact):
    """Name the versions that a decision is about; None where there is none, or none is known."""

    champion: int | None = None
    """What served when it was decided, or serves since a promotion or rollback."""
    other: int | None = None
    """The challenger that was judged; of a deployment record what was replaced, taken back, or answers beside it."""


def verdict_of(entry: LedgerEntry) -> Verdict | None:
    """Give the verdict of an entry that answers a question."""
    if entry.kind is EntryKind.MONITORED:
        decision = read_as(Decision, entry.facts.get("decision"))
        return decision.judgement.verdict if decision else None
    if entry.kind is EntryKind.QUARANTINED:
        return Verdict.FAILED
    if entry.kind is EntryKind.BLESSED:
        return Verdict.PASSED
    return word_of(Verdict, entry.facts.get("verdict"))


def versions_of(entry: LedgerEntry, before: Sequence[LedgerEntry]) -> Versions:
    """Name the versions, by the entry's own facts or, for a deployment record, by the one before it too."""
    facts = entry.facts
    if entry.kind is EntryKind.DEPLOYED:
        record = read_as(Deployment, facts.get("deployment"))
        if record is None:
            return Versions()
        beside = record.mirror or record.canary
        replaced = _champion_before(record, before)
        other = replaced if record.change.moves_champion else (beside.version if beside else None)
        return Versions(champion=record.champion.version, other=other)
    if entry.kind is EntryKind.BLESSED:
        challenger = facts.get("challenger")
        version = challenger.get("version") if isinstance(challenger, dict) else None
        return Versions(champion=whole_number(facts.get("champion_version")), other=whole_number(version))
    if entry.kind is EntryKind.MONITORED:
        report = facts.get("report")
        return Versions(
            champion=whole_number(report.get("champion_version")) if isinstance(report, dict) else None,
        )
    if entry.kind is EntryKind.GUARDED:
        return Versions(champion=whole_number(facts.get("version")), other=whole_number(facts.get("mirror_version")))
    serves = whole_number(facts.get("champion" if entry.kind is EntryKind.CONCLUDED else "champion_version"))
    about = whole_number(facts.get("version"))
    return Versions(champion=serves, other=about if about != serves else None)


def title_of(entry: LedgerEntry, before: Sequence[LedgerEntry] = ()) -> str:
    """Say what was decided, without its reason; an entry of a kind or a form unknown here is named by its kind."""
    told = _TOLD.get(entry.kind)
    return told(entry, versions_of(entry, before)) if told else _named(entry.kind.spoken, entry)


def _champion_before(record: Deployment, before: Sequence[LedgerEntry]) -> int | None:
    for entry in reversed(before):
        if entry.kind is EntryKind.DEPLOYED:
            earlier = read_as(Deployment, entry.facts.get("deployment"))
            if earlier is not None and earlier.epoch < record.epoch:
                return earlier.champion.version
    return record.blessing.champion_version if record.blessing else None


def _named(what: str, entry: LedgerEntry) -> str:
    version = whole_number(entry.facts.get("version"))
    return f"Version {version}: {what}" if version is not None else what.capitalize()


def _version(number: int | None) -> str:
    return f"version {number}" if number is not None else "a version"


def _judged(entry: LedgerEntry, versions: Versions) -> str:
    if entry.facts.get("is_champion_again") is True:
        return f"{_version(versions.other).capitalize()} is champion {versions.champion} once more, from the same rows"
    verdict = verdict_of(entry)
    ends = {
        Verdict.PASSED: "passed every gate",
        Verdict.FAILED: "was declined: it failed a gate",
        Verdict.INCONCLUSIVE: "was declined: too little is known",
    }
    against = f" against champion {versions.champion}" if versions.champion is not None else " without a champion"
    told = ends.get(verdict, "was judged") if verdict else "was judged"
    return f"{_version(versions.other).capitalize()} {told}{against}"


def _deployed(entry: LedgerEntry, versions: Versions) -> str:
    record = read_as(Deployment, entry.facts.get("deployment"))
    if record is None:
        return "A deployment record was written"
    champion, other = f"version {versions.champion}", _version(versions.other)
    return {
        Change.PROMOTION: f"{champion.capitalize()} was promoted"
        + (f" over version {versions.other}" if versions.other is not None else ", the first champion"),
        Change.ROLLBACK: f"{other.capitalize()} was rolled back; {champion} serves again",
        Change.MIRROR_STARTED: f"{other.capitalize()} began to answer unseen beside champion {versions.champion}",
        Change.MIRROR_ENDED: f"Champion {versions.champion} serves alone again, without a mirror",
        Change.CANARY_STARTED: f"{other.capitalize()} began to answer {100 * record.canary_share:g} % of the callers",
        Change.CANARY_STEPPED: f"{other.capitalize()} answers {100 * record.canary_share:g} % of the callers now",
        Change.CANARY_ENDED: f"Champion {versions.champion} answers all callers again",
    }[record.change]


def _concluded(entry: LedgerEntry, versions: Versions) -> str:
    outcome = word_of(Outcome, entry.facts.get("outcome"))
    challenger = _version(versions.other).capitalize()
    promoted = versions.champion if versions.other is None else versions.other
    if outcome is None:
        return "The retraining ended"
    return {
        Outcome.PROMOTED: f"The retraining promoted {_version(promoted)}",
        Outcome.DECLINED: f"{challenger} was declined; the champion stays",
        Outcome.UNCHANGED: f"{challenger} is the champion once more; the champion stays",
        Outcome.DATA_REFUSED: "The retraining ended: its data were refused",
        Outcome.DRY_RUN: f"{challenger} was judged in a dry run; nothing changed",
        Outcome.PROMOTION_REFUSED: f"{challenger} passed, but its promotion was refused",
        Outcome.ROLLED_BACK: f"{challenger} was promoted and taken back in its probation",
        Outcome.HELD: f"{challenger} passed, but its promotion is held",
        Outcome.REJECTED: f"{challenger} passed, but its promotion was not approved",
        Outcome.HELD_BACK: "The retraining had nothing to do",
        Outcome.BROKEN: "The retraining broke",
    }[outcome]


def _monitored(entry: LedgerEntry, versions: Versions) -> str:
    decision = read_as(Decision, entry.facts.get("decision"))
    about = f"champion {versions.champion}" if versions.champion is not None else "the champion"
    if decision is None:
        return f"A look at {about}"
    if decision.is_due or entry.facts.get("is_due") is True:
        return f"A look at {about} asks for a retraining"
    if decision.held_back is not None:
        return f"A look at {about} found a reason to retrain, which is held back"
    return {
        Verdict.PASSED: f"A look at {about} found nothing to do",
        Verdict.FAILED: f"A look at {about} found something wrong",
        Verdict.INCONCLUSIVE: f"A look at {about} could not say whether anything is wrong",
    }[decision.judgement.verdict]


def _guarded(entry: LedgerEntry, versions: Versions) -> str:
    ends = {
        Verdict.PASSED: "passed its probation",
        Verdict.FAILED: "failed its probation",
        Verdict.INCONCLUSIVE: "had a probation that could not decide",
    }
    return _ended(entry, versions.champion, ends, "was in its probation")


def _trial(what: str) -> Callable[[LedgerEntry, Versions], str]:
    ends = {
        Verdict.PASSED: f"passed its {what}",
        Verdict.FAILED: f"failed its {what}",
        Verdict.INCONCLUSIVE: f"was declined: its {what} could not decide",
    }
    return lambda entry, versions: _ended(entry, versions.other, ends, f"had its {what}")


def _ended(entry: LedgerEntry, version: int | None, ends: Mapping[Verdict, str], otherwise: str) -> str:
    verdict = verdict_of(entry)
    is_waved_through = verdict is Verdict.PASSED and entry.facts.get("rubber_stamped") is True
    told = f"{ends[verdict]} unwatched" if verdict and is_waved_through else ends[verdict] if verdict else otherwise
    return f"{_version(version).capitalize()} {told}"


def _about(template: str) -> Callable[[LedgerEntry, Versions], str]:
    return lambda _entry, versions: template.format(
        version=_version(versions.other), Version=_version(versions.other).capitalize()
    )


def _data_judged(entry: LedgerEntry, _versions: Versions) -> str:
    verdict = verdict_of(entry)
    return "The data may be trained on" if verdict is Verdict.PASSED else "The data were refused"


def _drilled(entry: LedgerEntry, _versions: Versions) -> str:
    verdict = verdict_of(entry)
    return f"The rollback drill {'passed' if verdict is Verdict.PASSED else 'did not pass'}"


def _broke_glass(entry: LedgerEntry, _versions: Versions) -> str:
    taken = entry.facts.get("taken_back")
    version = whole_number(taken.get("version")) if isinstance(taken, dict) else None
    return f"{_version(version).capitalize()} was taken back by break-glass at a gateway"


def _canary_lapsed(entry: LedgerEntry, _versions: Versions) -> str:
    canary = entry.facts.get("canary")
    version = whole_number(canary.get("version")) if isinstance(canary, dict) else None
    return f"{_version(version).capitalize()} lost its callers at a gateway that nobody could reach"


def _answered(entry: LedgerEntry, versions: Versions) -> str:
    ends = {
        Answer.APPROVED: "was approved",
        Answer.REJECTED: "was not approved",
        Answer.VOID: "was answered in a way that does not count",
    }
    answer = word_of(Answer, entry.facts.get("answer"))
    return f"{_version(versions.other).capitalize()} {ends[answer] if answer else 'was answered'}"


_TOLD: Mapping[EntryKind, Callable[[LedgerEntry, Versions], str]] = MappingProxyType(
    {
        EntryKind.TRIGGERED: _about("A retraining began"),
        EntryKind.DATA_JUDGED: _data_judged,
        EntryKind.QUARANTINED: _about("A window of data was set aside"),
        EntryKind.TRAINED: _about("{Version} was trained"),
        EntryKind.JUDGED: _judged,
        EntryKind.BLESSED: _about("{Version} was blessed: it may be promoted"),
        EntryKind.DEPLOYED: _deployed,
        EntryKind.CONFIRMED: _about("{Version} serves: every place that serves it has confirmed"),
        EntryKind.DENIED: _about("{Version} must not serve again"),
        EntryKind.REHEARSED: _trial("rehearsal"),
        EntryKind.CANARIED: _trial("canary"),
        EntryKind.CANARY_LAPSED: _canary_lapsed,
        EntryKind.GUARDED: _guarded,
        EntryKind.DRILLED: _drilled,
        EntryKind.BROKE_GLASS: _broke_glass,
        EntryKind.REPLAYED: _about("Retraining policies were replayed on the model's past"),
        EntryKind.LABELLED: _about("Labels arrived"),
        EntryKind.MONITORED: _monitored,
        EntryKind.LOCKED: _about("{Version} was locked"),
        EntryKind.UNLOCKED: _about("{Version} was unlocked"),
        EntryKind.HELD: _about("Its promotions are held: challengers are judged and not promoted"),
        EntryKind.RELEASED: _about("Its challengers may be promoted again"),
        EntryKind.APPROVAL_ASKED: _about("{Version} waits for an approval"),
        EntryKind.APPROVAL_ANSWERED: _answered,
        EntryKind.REFUSED: _about("{Version} was refused"),
        EntryKind.CONCLUDED: _concluded,
    }
)
