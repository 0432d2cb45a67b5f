from typing import Any

import pytest

from tests.unit.contract.ledger_entries import entry
from tests.unit.contract.test_card import record
from understudy.contract.alert_cause import told_of
from understudy.contract.drill import DRILL_MODEL
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
    assert kinds(concluded(5, Outcome.BROKEN), breach) == [AlertKind.ROLLBACK_FAILED]
    assert kinds(concluded(5, Outcome.BROKEN), breach, taken_back) == [AlertKind.RUN_BROKEN]


def test_a_doubt_is_told_once_it_has_lasted() -> None:
    doubts = [judged(seq, Verdict.INCONCLUSIVE, f"run{seq}") for seq in (1, 3, 5, 7)]
    ends = {seq: concluded(seq + 1, Outcome.DECLINED, f"run{seq}") for seq in (1, 3, 5, 7)}
    told = {seq: kinds(ends[seq], *(doubt for doubt in doubts if doubt.seq <= seq)) for seq in ends}
    assert told == {1: [], 3: [], 5: [AlertKind.INCONCLUSIVE], 7: []}
    decided = judged(4, Verdict.FAILED, "run4")
    assert kinds(ends[7], *doubts, decided) == []


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


def test_looks_that_see_nothing_are_told_at_the_third() -> None:
    blind = [look(seq, ("drift", "inconclusive")) for seq in (1, 2, 3, 4)]
    assert [kinds(blind[at], *blind[:at]) for at in range(4)] == [[], [], [AlertKind.INCONCLUSIVE], []]


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
