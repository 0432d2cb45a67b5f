"""How long nothing could be decided about a model: retrainings, or looks, in a row. Pure."""

from collections.abc import Iterable, Sequence

from understudy.contract.cards.title import verdict_of
from understudy.contract.declared import Fact
from understudy.contract.read_facts import read_as, word_of
from understudy.contract.release import LedgerEntry
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, Outcome, Verdict

TRIALS = (EntryKind.JUDGED, EntryKind.REHEARSED, EntryKind.CANARIED)


class Streak(Fact):
    """List what could not decide, newest first."""

    names: tuple[str, ...] = ()
    is_whole: bool = False
    """Whether the entry that ended the row was read too, so that no earlier one can belong to it."""


def undecided_runs(newest_first: Iterable[LedgerEntry]) -> Streak:
    """List the newest retrainings in a row that were declined because their last trial was inconclusive.

    A dry run decides nothing for anybody, so it neither ends the row nor belongs to it, whatever it found; nor does a
    run that broke, or was killed, before its evidence was enough.
    """
    ends, tried, runs = dict[str | None, Outcome | None](), set[str | None](), list[str]()
    for entry in newest_first:
        if entry.kind is EntryKind.CONCLUDED:
            ends.setdefault(entry.run, word_of(Outcome, entry.facts.get("outcome")))
        if entry.kind not in TRIALS or entry.run in tried:
            continue
        tried.add(entry.run)
        end = ends.get(entry.run)
        if end is Outcome.DRY_RUN:
            continue
        if verdict_of(entry) is not Verdict.INCONCLUSIVE:
            return Streak(names=tuple(runs), is_whole=True)
        if end is Outcome.DECLINED:
            runs.append(str(entry.run))
    return Streak(names=tuple(runs))


def blind_looks(newest_first: Sequence[LedgerEntry]) -> Streak:
    """List the newest looks in a row at one champion that could compare nothing."""
    blind, champion = list[str](), None
    for entry in newest_first:
        look = read_as(Look, entry.facts) if entry.kind is EntryKind.MONITORED else None
        if look is None:
            continue
        champion = look.champion_since if champion is None else champion
        if not look.is_blind or look.champion_since != champion:
            return Streak(names=tuple(blind), is_whole=True)
        blind.append(str(entry.seq))
    return Streak(names=tuple(blind))
