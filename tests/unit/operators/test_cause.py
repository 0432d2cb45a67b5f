"""Why a run is there: told apart by Airflow's type of run, the form, and the events that started it."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from understudy.contract.cause import Ask
from understudy.contract.words import Trigger
from understudy.operators.cause import cause_of
from understudy.operators.decisions import may_promote, reason_of
from understudy.operators.run_context import as_of

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def event(minute: int = 0, dag: str | None = "monitor__price", **extra: Any) -> Any:
    return SimpleNamespace(extra=extra, timestamp=NOON + timedelta(minutes=minute), source_dag_id=dag)


def asked(*reasons: Trigger, minute: int = 0, seq: int = 5, **more: Any) -> Any:
    ask = Ask(reasons=reasons, sentence="wind moved", ledger_seq=seq, ledger_hash="h", run_id="look", **more)
    return event(minute, **ask.model_dump(mode="json"))


def run(run_type: str, events: list[Any] | None = None, **params: Any) -> Any:
    named = SimpleNamespace(run_type=run_type, consumed_asset_events=events or [], run_after=NOON)
    return {"dag_run": named, "params": params}


@pytest.mark.parametrize(
    ("run_type", "trigger"),
    [("manual", Trigger.MANUAL), ("scheduled", Trigger.SCHEDULE), ("backfill", Trigger.BACKFILL)],
)
def test_runs_without_events_are_told_apart_by_their_type(run_type: str, trigger: Trigger) -> None:
    assert cause_of(run(run_type)).reasons == (trigger,)
    assert reason_of(run(run_type)) == f"{run_type} run"
    assert reason_of(run(run_type, reason="new tariff")) == "new tariff"


def test_a_look_says_why_by_its_event() -> None:
    cause = cause_of(run("asset_triggered", [asked(Trigger.DRIFT, Trigger.STALENESS)]))
    assert cause.reasons == (Trigger.DRIFT, Trigger.STALENESS)
    assert cause.sentence == "drift, staleness: wind moved"
    assert [ask.ledger_seq for ask in cause.asks] == [5]


def test_many_events_are_one_cause() -> None:
    events = [asked(Trigger.DRIFT, minute=2, seq=9), *(event(dag=None, from_rest_api=True) for _ in range(999))]
    cause = cause_of(run("asset_triggered", events))
    assert cause.reasons == (Trigger.DRIFT, Trigger.EXTERNAL)
    assert cause.sentence == "drift, external: wind moved (and 999 more events)"
    assert cause.events == 1000


def test_nobody_passes_for_a_look_through_the_rest_api() -> None:
    forged = asked(Trigger.DRIFT)
    forged.extra["from_rest_api"] = True
    cause = cause_of(run("asset_triggered", [forged]))
    assert (cause.reasons, cause.asks) == ((Trigger.EXTERNAL,), ())


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"reason": "the meters were\n replaced"}, "external: another system asks for it (the meters were replaced)"),
        ({"reason": {"no": "text"}}, "external: another system asks for it"),
        ({"reasons": []}, "external: another system asks for it"),
    ],
)
def test_whatever_another_system_sends_is_a_sentence(extra: dict[str, Any], told: str) -> None:
    assert cause_of(run("asset_triggered", [event(dag=None, **extra)])).sentence == told


def test_an_overlong_reason_is_cut() -> None:
    events = [event(dag="etl", reason="x" * 9000), event(minute=1, dag="etl", reason="y" * 9000)]
    assert len(cause_of(run("asset_triggered", events)).sentence) == 2000


def test_a_retraining_pretends_the_time_that_its_look_pretended() -> None:
    past = datetime(2025, 1, 1, tzinfo=timezone.utc)
    assert as_of(run("asset_triggered", [asked(Trigger.DRIFT, as_of=past)])) == past
    assert as_of(run("asset_triggered", [asked(Trigger.DRIFT)])) == NOON
    assert as_of(run("asset_triggered", [asked(Trigger.DRIFT, as_of=past)], as_of="2025-02-01T00:00:00Z")).month == 2


@pytest.mark.parametrize(
    ("run_type", "params", "allowed"),
    [
        ("manual", {}, True),
        ("manual", {"dry_run": True}, False),
        ("backfill", {}, False),
        ("backfill", {"promote_past": True}, True),
        ("backfill", {"promote_past": True, "dry_run": True}, False),
        ("manual", {"promote_past": True}, True),
    ],
)
def test_a_backfill_promotes_only_if_it_is_asked_to(run_type: str, params: dict[str, Any], allowed: bool) -> None:
    assert may_promote(run(run_type, **params)) is allowed
