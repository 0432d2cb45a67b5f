"""Which retrainings were asked for, which began, which did not, as the ledger tells."""

from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.contract.cause import Ask, Cause
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.monitoring import Calibration, ColumnDrift, Decision, DriftReport, MonitorReport
from understudy.contract.release import GENESIS, LedgerEntry
from understudy.contract.retrainings import Look, Retrainings, blind_in_a_row, trimmed, why_held_back
from understudy.contract.words import DistanceMethod, EntryKind, Outcome, Trigger, Verdict, Watched

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def entry(seq: int, kind: EntryKind, facts: Any, run: str | None = None, reason: str = "because") -> LedgerEntry:
    return LedgerEntry(
        seq=seq, at=NOON + seq * HOUR, model="price", kind=kind, actor="ann", reason=reason, run=run, facts=facts,
        prev_hash=GENESIS, hash=f"{seq:064}",
    )  # fmt: skip


def look(
    seq: int, *, due: bool = False, drift: Verdict = Verdict.PASSED, version: int = 1, days: int = 0
) -> LedgerEntry:
    at = NOON + days * DAY + seq * HOUR
    answer = GateResult(gate="drift", verdict=drift, bound="usual", sentence="s")
    report = MonitorReport(
        model="price", watched=Watched.DATA, champion_version=version, champion_since=NOON, as_of=at,
        window_start=at - DAY, window_end=at,
    )  # fmt: skip
    decision = Decision(
        judgement=Judgement(verdict=drift, results=(answer,)),
        is_drifting=drift is Verdict.FAILED,
        reasons=(Trigger.DRIFT,) if due else (),
        sentence="wind moved",
    )
    told = Look(report=report, decision=decision, is_due=due, champion_since=1)
    return entry(seq, EntryKind.MONITORED, told.model_dump(mode="json"))


def began(seq: int, run: str, reason: Trigger = Trigger.MANUAL, *, promotes: bool = True) -> LedgerEntry:
    cause = Cause(reasons=(reason,), sentence="because")
    facts = {"cause": cause.model_dump(mode="json"), "may_promote": promotes, "as_of": (NOON + seq * HOUR).isoformat()}
    return entry(seq, EntryKind.TRIGGERED, facts, run)


def ended(seq: int, run: str, outcome: Outcome) -> LedgerEntry:
    return entry(seq, EntryKind.CONCLUDED, {"outcome": outcome.value}, run, reason="it ended")


def column(name: str, **changes: Any) -> ColumnDrift:
    facts: dict[str, Any] = {
        "distance": 0.02,
        "threshold": 0.1,
        "null_share": 0.0,
        "reference_null_share": 0.0,
        "null_threshold": 0.1,
    }
    return ColumnDrift(column=name, method=DistanceMethod.WASSERSTEIN, **{**facts, **changes})


def told(*entries: LedgerEntry) -> Retrainings:
    return Retrainings.told(reversed(entries))


def at(seq: float) -> datetime:
    return NOON + seq * HOUR


def test_a_request_is_answered_by_whatever_retraining_begins_next() -> None:
    past = told(look(1, due=True), began(2, "r1", Trigger.SCHEDULE), look(3, due=True))
    assert past.answer_to(1) is not None
    unanswered = past.unanswered()
    assert unanswered is not None
    assert unanswered.seq == 3


def test_neither_a_dry_run_nor_the_past_answers_a_request() -> None:
    past = told(look(1, due=True), began(2, "r1", promotes=False), began(3, "r2", Trigger.BACKFILL, promotes=False))
    assert past.answer_to(1) is None
    unanswered = past.unanswered()
    assert unanswered is not None
    assert unanswered.seq == 1


def test_a_look_that_asks_for_nothing_is_no_request() -> None:
    assert told(look(1)).unanswered() is None
    past = told(look(1), began(2, "r1"))
    assert past.history(at(9), HOUR).retrained == (at(2),), "the retraining is one of its own"


def test_a_request_keeps_the_cool_down_until_its_grace_is_over() -> None:
    past = told(look(1, due=True))
    assert past.history(at(1.5), HOUR).retrained == (at(1),)
    # Nothing began: it may be asked for again.
    assert past.history(at(2.5), HOUR).retrained == ()


def test_until_the_last_moment_of_its_grace_a_request_counts_and_is_no_trouble() -> None:
    past = told(look(1, due=True))
    assert past.history(at(2), HOUR).retrained == (at(1),)
    assert past.trouble(at(2), HOUR, DAY) == ()


def test_a_retraining_may_run_for_as_long_as_its_timeout() -> None:
    assert told(began(1, "r1")).trouble(at(25), HOUR, DAY) == ()


def test_a_retraining_and_the_request_that_it_answers_count_once() -> None:
    past = told(began(1, "r0", Trigger.SCHEDULE), look(2, due=True), began(3, "r1", Trigger.DRIFT), began(4, "r2"))
    assert past.history(at(9), HOUR).retrained == (at(4), at(2), at(1))
    first = told(look(1, due=True), look(2), began(3, "r1"))
    assert first.history(at(9), HOUR).retrained == (at(1),), "also where a look that asked for nothing came between"


def test_a_dry_run_is_no_retraining_that_a_cool_down_begins_with() -> None:
    assert told(began(1, "dry", promotes=False)).history(at(9), HOUR).retrained == ()
    past = told(look(1, due=True), began(2, "dry", promotes=False), began(3, "r1"))
    assert past.history(at(9), HOUR).retrained == (at(1),), "the real one has answered what was asked before the other"


def test_a_look_that_pretends_the_past_does_not_know_what_came_later() -> None:
    past = told(look(1), began(2, "r1"), look(3, days=30), began(4, "r2"))
    known = past.history(at(9), HOUR, pretended=at(2))
    assert [one.at for one in known.looks] == [at(1)]
    assert known.retrained == (at(2),)
    assert len(past.history(at(9), HOUR, pretended=at(1)).looks) == 1, "a look knows what is of its own time"


def test_of_two_looks_at_once_the_one_recorded_first_is_known_even_if_it_is_the_later_one() -> None:
    past = told(look(5, due=True))  # by its own time, later than the one that decides now
    assert past.history(at(4), HOUR).retrained == (at(5),)


def test_a_look_is_conclusive_if_it_could_compare_even_without_labels() -> None:
    known = told(look(1, drift=Verdict.INCONCLUSIVE), look(2)).history(at(9), HOUR)
    assert [one.is_conclusive for one in known.looks] == [True, False]


def test_a_paused_dag_is_told_once_the_grace_is_over() -> None:
    past = told(look(1, due=True))
    assert past.trouble(at(1.5), HOUR, DAY) == ()
    (sentence,) = past.trouble(at(2.5), HOUR, DAY)
    assert sentence == (
        "a retraining is due since 2026-03-01 13:00 UTC and none has begun; is the DAG retrain__price paused or broken?"
    )


def test_a_request_may_wait_for_the_run_before_it() -> None:
    past = told(began(1, "r1"), look(2, due=True))
    assert past.trouble(at(9), HOUR, DAY) == ()
    (sentence,) = past.trouble(at(30), HOUR, DAY)
    assert "that began at 2026-03-01 13:00 UTC had to be over by 2026-03-02 13:00 UTC" in sentence


def test_a_run_that_never_said_how_it_ended_does_not_run_beside_what_began_later() -> None:
    past = told(began(1, "killed"), began(2, "r2"), ended(3, "r2", Outcome.PROMOTED))
    assert past.trouble(at(99), HOUR, DAY) == ()


def test_a_request_does_not_wait_for_a_run_that_has_ended() -> None:
    past = told(began(1, "r1"), ended(2, "r1", Outcome.PROMOTED), look(3, due=True))
    (sentence,) = past.trouble(at(30), HOUR, DAY)
    assert "a retraining is due since 2026-03-01 15:00 UTC and none has begun" in sentence


def test_a_retraining_that_breaks_is_told_until_one_succeeds() -> None:
    broken = (began(1, "r1"), ended(2, "r1", Outcome.BROKEN))
    assert told(*broken).trouble(at(3), HOUR, DAY) == (
        "the retraining that began at 2026-03-01 13:00 UTC ended broken: it ended",
    )
    assert told(*broken, began(3, "r2"), ended(4, "r2", Outcome.DECLINED)).trouble(at(5), HOUR, DAY) == ()
    dry = (began(3, "dry", promotes=False), ended(4, "dry", Outcome.DECLINED))
    assert len(told(*broken, *dry).trouble(at(5), HOUR, DAY)) == 1, "a dry run is no success"


def asks(*seqs: int, external: int = 0) -> Cause:
    made = tuple(
        Ask(reasons=(Trigger.DRIFT,), sentence="s", ledger_seq=seq, ledger_hash="h", run_id="look") for seq in seqs
    )
    reasons = ((Trigger.DRIFT,) if made else ()) + ((Trigger.EXTERNAL,) if external else ())
    return Cause(reasons=reasons, sentence="s", asks=made, events=len(made) + external)


def test_an_event_that_comes_twice_retrains_once() -> None:
    past = told(look(1, due=True), began(2, "first"))
    assert why_held_back(asks(1), past, "first", at(3), DAY) is None, "a retry of the run itself goes on"
    why = why_held_back(asks(1), past, "second", at(3), DAY)
    assert why == "the retraining of 2026-03-01 14:00 UTC has answered what this run was started for"
    assert (
        why_held_back(asks(1, 5), told(look(1, due=True), began(2, "first"), look(5, due=True)), "x", at(6), DAY)
        is None
    )


def test_of_several_answers_the_newest_is_named() -> None:
    past = told(look(1, due=True), began(2, "first"), look(3, due=True), began(4, "second"))
    why = why_held_back(asks(1, 3), past, "third", at(5), DAY)
    assert why == "the retraining of 2026-03-01 16:00 UTC has answered what this run was started for"


def test_other_systems_keep_the_cool_down() -> None:
    past = told(began(1, "r1"), ended(2, "r1", Outcome.PROMOTED))
    why = why_held_back(asks(external=3), past, "r2", at(5), DAY)
    assert "within the cool-down of 1d" in str(why)
    assert why_held_back(asks(external=3), past, "r2", at(25), DAY) is None, "the cool-down is over when it has passed"
    assert why_held_back(asks(external=3), told(), "r2", at(5), DAY) is None


def test_what_trained_no_challenger_holds_no_other_system_back() -> None:
    past = told(began(1, "r1"), ended(2, "r1", Outcome.BROKEN))
    assert why_held_back(asks(external=1), past, "r2", at(3), DAY) is None
    dry = told(began(1, "dry", promotes=False), ended(2, "dry", Outcome.DECLINED))
    assert why_held_back(asks(external=1), dry, "r2", at(3), DAY) is None, "nor does a dry run"


def test_people_and_clocks_are_never_held_back() -> None:
    cause = Cause(reasons=(Trigger.SCHEDULE,), sentence="s")
    assert why_held_back(cause, told(began(1, "r1")), "r2", at(1), DAY) is None


def test_looks_that_see_nothing_are_counted_from_the_newest() -> None:
    blind = Verdict.INCONCLUSIVE
    assert blind_in_a_row(told(look(1), look(2, drift=blind), look(3, drift=blind)).looks) == 2
    assert blind_in_a_row(told(look(1, drift=blind), look(2)).looks) == 0
    assert blind_in_a_row(told(look(1, drift=blind)).looks) == 1
    assert blind_in_a_row(()) == 0


def test_entries_of_older_releases_are_passed_over() -> None:
    assert told(entry(1, EntryKind.TRIGGERED, {"as_of": "x"}, "r0")).begun == ()


def test_entries_of_other_kinds_are_passed_over_whatever_they_say() -> None:
    facts = began(1, "r0").facts
    assert told(entry(1, EntryKind.BLESSED, facts, "r0")) == Retrainings()


def test_a_look_has_found_something_if_it_asks_for_a_retraining_or_if_what_serves_failed() -> None:
    found = {
        one.seq: one.look.has_found for one in told(look(1), look(2, due=True), look(3, drift=Verdict.FAILED)).looks
    }
    assert found == {1: False, 2: True, 3: True}


def test_of_the_columns_the_ledger_keeps_those_that_a_card_names() -> None:
    report = told(look(1)).looks[0].look.report
    assert trimmed(report) == report, "where nothing was compared, nothing is left out"
    drift = DriftReport(
        reference_data="d", reference_rows=9, current_rows=9, sampled_reference_rows=9, sampled_current_rows=9,
        columns=(column("still"), column("moved", distance=0.2), column("gappy", null_share=0.5)),
        skew=(column("as in the source"), column("other", distance=0.2), column("unknown", distance=None)),
        calibration=Calibration(length="1w"),
    )  # fmt: skip
    kept = trimmed(report.model_copy(update={"drift": drift})).drift
    assert kept is not None
    assert [one.column for one in kept.columns] == ["moved", "gappy"]
    assert [one.column for one in kept.skew] == ["other", "unknown"]
