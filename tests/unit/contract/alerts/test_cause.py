from typing import Any

import pytest

from tests.unit.contract.ledger_entries import entry, record
from understudy.contract.alerts.cause import told_of
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.release import LedgerEntry
from understudy.contract.words import AlertKind, Change, EntryKind, Outcome, Verdict

PATIENCE = 3


def kinds(told: LedgerEntry, *before: LedgerEntry) -> list[AlertKind]:
    return [one.kind for one in told_of(told, before, PATIENCE)]


def concluded(seq: int, outcome: Outcome, run: str = "run1") -> LedgerEntry:
    return entry(EntryKind.CONCLUDED, seq, run, outcome=outcome.value, version=8, champion=7)


def judged(seq: int, verdict: Verdict, run: str) -> LedgerEntry:
    return entry(EntryKind.JUDGED, seq, run, version=8, verdict=verdict.value)


def look(seq: int, *gates: tuple[str, str], since: int = 1, is_drifting: bool = False) -> LedgerEntry:
    answers = [{"gate": gate, "verdict": verdict, "bound": "b", "sentence": "s"} for gate, verdict in gates]
    report: dict[str, Any] = {
        "model": "price", "watched": "data", "champion_version": 7, "champion_since": "2026-01-01T00:00:00Z",
        "as_of": "2026-01-02T00:00:00Z", "window_start": "2026-01-01T00:00:00Z", "window_end": "2026-01-02T00:00:00Z",
    }  # fmt: skip
    decision = {
        "judgement": {"verdict": "passed", "results": answers}, "is_drifting": is_drifting, "sentence": "s",
    }  # fmt: skip
    return entry(
        EntryKind.MONITORED, seq, f"look{seq}", report=report, decision=decision, is_due=False, champion_since=since
    )


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.PROMOTED, []),
        (Outcome.DRY_RUN, []),
        (Outcome.HELD_BACK, []),
        (Outcome.ROLLED_BACK, []),  # its deployment record is told
        (Outcome.DECLINED, [AlertKind.REFUSED]),
        (Outcome.DATA_REFUSED, [AlertKind.REFUSED]),
        (Outcome.PROMOTION_REFUSED, [AlertKind.REFUSED]),
        (Outcome.BROKEN, [AlertKind.RUN_BROKEN]),
    ],
)
def test_each_end_of_a_run_is_told_as_what_it_is(outcome: Outcome, told: list[AlertKind]) -> None:
    assert kinds(concluded(5, outcome), judged(4, Verdict.FAILED, "run1")) == told


def test_a_breach_after_which_nothing_was_taken_back_is_a_failed_rollback() -> None:
    breach = entry(EntryKind.GUARDED, 3, breach=True, version=8)
    taken_back = entry(EntryKind.DEPLOYED, 4, **record(Change.ROLLBACK, 5, 7))
    serves = entry(EntryKind.CONCLUDED, 5, outcome=Outcome.BROKEN.value, version=8, champion=8)
    assert kinds(serves, breach) == [AlertKind.ROLLBACK_FAILED]
    assert kinds(concluded(5, Outcome.BROKEN), breach) == [AlertKind.RUN_BROKEN], "somebody else has replaced it"
    assert kinds(serves, breach, taken_back) == [AlertKind.RUN_BROKEN]


def run(number: int, outcome: Outcome | None, verdict: Verdict = Verdict.INCONCLUSIVE) -> list[LedgerEntry]:
    """Give a retraining's trial and, unless it was killed, its end."""
    trial = judged(10 * number, verdict, f"run{number}")
    return [trial, *([concluded(10 * number + 1, outcome, f"run{number}")] if outcome else [])]


def doubts(*runs: list[LedgerEntry], patience: int = PATIENCE) -> list[str]:
    """List the keys of what the last entry tells."""
    *before, last = [told for one in runs for told in one]
    return [one.key for one in told_of(last, before, patience) if one.kind is AlertKind.INCONCLUSIVE]


def test_a_doubt_that_lasts_is_told_under_the_key_of_its_first_run() -> None:
    runs = [run(number, Outcome.DECLINED) for number in (1, 2, 3, 4)]
    told = [doubts(*runs[:number]) for number in (1, 2, 3, 4)]
    assert told == [[], [], ["inconclusive/price/run/run1"], ["inconclusive/price/run/run1"]]
    decided = run(3, Outcome.DECLINED, Verdict.FAILED)
    assert doubts(*runs[:2], decided, runs[3]) == []
    assert kinds(decided[1], decided[0], *runs[1]) == [AlertKind.REFUSED]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_dry_run_neither_ends_a_doubt_nor_belongs_to_it(verdict: Verdict) -> None:
    dry = run(3, Outcome.DRY_RUN, verdict)
    declined = [run(number, Outcome.DECLINED) for number in (1, 2, 4, 5)]
    assert doubts(*declined[:2], dry) == []
    assert doubts(*declined[:2], dry, declined[2]) == ["inconclusive/price/run/run1"]
    assert doubts(run(1, Outcome.DRY_RUN), declined[1], declined[2]) == []


@pytest.mark.parametrize("outcome", [Outcome.BROKEN, None])
def test_a_run_that_broke_in_doubt_neither_ends_it_nor_belongs_to_it(outcome: Outcome | None) -> None:
    broken = run(2, outcome)
    assert doubts(run(1, Outcome.DECLINED), broken, run(3, Outcome.DECLINED)) == []
    told = doubts(run(1, Outcome.DECLINED), broken, run(3, Outcome.DECLINED), run(4, Outcome.DECLINED))
    assert told == ["inconclusive/price/run/run1"]


def test_patience_that_was_lowered_meanwhile_is_over_at_once() -> None:
    declined = [run(number, Outcome.DECLINED) for number in (1, 2, 3, 4)]
    assert doubts(*declined, patience=2) == ["inconclusive/price/run/run1"]
    blind = [look(seq, ("drift", "inconclusive")) for seq in (1, 2, 3, 4)]
    assert [one.key for one in told_of(blind[-1], blind[:-1], 2)] == ["inconclusive/price/look/1"]


def test_a_rollback_is_told_once_whoever_reports_it() -> None:
    before = entry(EntryKind.DEPLOYED, 1, **record(Change.PROMOTION, 4, 8))
    rollback = entry(EntryKind.DEPLOYED, 4, None, **record(Change.ROLLBACK, 5, 7))
    glass = entry(EntryKind.BROKE_GLASS, 3, None, taken_back={"version": 8})
    assert {one.key for told in (rollback, glass) for one in told_of(told, [before], PATIENCE)} == {
        "rolled_back/price/8"
    }
    assert kinds(before) == []


def test_drift_and_age_are_told_when_they_begin_and_again_for_the_next_champion() -> None:
    drifts = [look(seq, ("drift", "failed"), ("age", "failed"), is_drifting=True) for seq in (1, 2)]
    assert kinds(drifts[0]) == [AlertKind.DRIFT, AlertKind.CHAMPION_STALE]
    assert kinds(drifts[1], drifts[0]) == []
    later = look(3, ("drift", "failed"), is_drifting=True, since=2)
    assert kinds(later, *drifts) == [AlertKind.DRIFT]
    calm = look(4, ("drift", "passed"), since=2)
    assert kinds(calm, later) == []
    assert kinds(look(5, ("drift", "failed"), is_drifting=True, since=2), calm, later) == [AlertKind.DRIFT]


def test_a_look_that_could_not_say_ends_no_drift_and_no_age() -> None:
    lasts = look(1, ("drift", "failed"), ("age", "failed"), is_drifting=True)
    unsaid = [look(seq, ("drift", "inconclusive"), ("age", "inconclusive")) for seq in (2, 3)]
    again = look(4, ("drift", "failed"), ("age", "failed"), is_drifting=True)
    assert kinds(again, *unsaid, lasts) == []
    assert kinds(again, *unsaid) == [AlertKind.DRIFT, AlertKind.CHAMPION_STALE]
    over = look(3, ("drift", "passed"), ("age", "passed"))
    assert kinds(again, over, unsaid[0], lasts) == [AlertKind.DRIFT, AlertKind.CHAMPION_STALE]


def test_looks_that_see_nothing_are_told_from_the_third_on_under_the_key_of_the_first() -> None:
    blind = [look(seq, ("drift", "inconclusive")) for seq in (1, 2, 3, 4)]
    told = [[one.key for one in told_of(blind[at], blind[:at], PATIENCE)] for at in range(4)]
    assert told == [[], [], ["inconclusive/price/look/1"], ["inconclusive/price/look/1"]]
    of_another = look(4, ("drift", "inconclusive"), since=2)
    assert kinds(of_another, *blind[:3]) == []


@pytest.mark.parametrize("verdict", ["failed", "inconclusive", None])
def test_of_the_drill_only_its_failure_is_told(verdict: str | None) -> None:
    drill = {"model": DRILL_MODEL}
    rollback = entry(EntryKind.DEPLOYED, 4, **record(Change.ROLLBACK, 5, 7)).model_copy(update=drill)
    assert kinds(rollback) == []
    assert kinds(entry(EntryKind.DRILLED, 5, verdict=verdict).model_copy(update=drill)) == [AlertKind.ROLLBACK_FAILED]
    assert kinds(entry(EntryKind.DRILLED, 5, verdict="passed").model_copy(update=drill)) == []


@pytest.mark.parametrize("kind", list(EntryKind))
def test_an_entry_without_facts_breaks_nothing(kind: EntryKind) -> None:
    told_of(entry(kind), [entry(kind, 2)], PATIENCE)
