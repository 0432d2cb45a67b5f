"""A champion that was found out by somebody who was killed is taken back by the next sweep, or told to serve still."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from tests.unit.hooks.alerting.receivers import WebReceiver
from tests.unit.operators.known_runs import KnownRuns
from tests.unit.operators.live_traffic import (
    RUN,
    RUN_ID,
    Registry,
    begin,
    context,
    current,
    declare,
    deployed,
    entries,
    report,
    seen_by,
    serve,
)
from understudy.contract.by import By
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.rollback import rollback
from understudy.operators import GuardOperator
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import RollbackRefused
from understudy.operators.sweep import late_rollback
from understudy.operators.sweep.sweep import SweepAlertsOperator
from understudy.settings import settings

DAG = "retrain__price"


@pytest.fixture
def airflow(airflow: KnownRuns, monkeypatch: pytest.MonkeyPatch) -> Iterator[KnownRuns]:
    monkeypatch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: Registry())
    with running("east") as (gateway,):
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", gateway.url)
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        settings.cache_clear()
        declare(guard={"probation": "1h", "min_requests": 100})
        facts = {"dag_id": DAG, "run_id": RUN_ID}
        connect().ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", RUN, facts)
        serve(3)
        _breach(gateway, monkeypatch)
        yield airflow


def _breach(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote version 7, and kill its guard when it has written down that it must go."""
    gateway.report = report(7, 3, errors=200)
    guard = GuardOperator(task_id="guard", model="price", deployed=deployed(serve(7, mirror=1.0, run=RUN)))
    event = seen_by(begin(guard, context()))
    with monkeypatch.context() as patch:
        patch.setattr("understudy.operators.live.guard.rollback", killed)
        with pytest.raises(KeyboardInterrupt):
            guard.execute_complete(context(), event)
    assert current().champion.version == 7


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def sweep(airflow: KnownRuns, times: int = 1) -> None:
    for _ in range(times):
        SweepAlertsOperator(task_id="sweep").execute(airflow.context())


def lock(kind: EntryKind = EntryKind.LOCKED) -> None:
    connect().ledger.append("price", kind, "ann", "the auditors look at it", facts={"version": 7})


def kinds(web: WebReceiver) -> list[tuple[str, str]]:
    return [(told["kind"], told["severity"]) for told in web.taken]


def test_the_next_sweep_takes_back_what_a_killed_guard_found_out_and_tells_that(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "skipped"})
    sweep(airflow, times=3)
    assert (current().change, current().champion.version) == (Change.ROLLBACK, 3)
    back = entries(EntryKind.DEPLOYED)[-1]
    assert (back.actor, back.run) == ("guard", RUN)
    assert kinds(web) == [("rolled_back", "error")]
    assert "lost 200 of 500 requests" in web.taken[0]["sentence"]
    (ended,) = entries(EntryKind.CONCLUDED)
    assert (ended.actor, ended.run, ended.facts["outcome"], ended.facts["champion"]) == ("guard", RUN, "rolled_back", 3)
    assert ended.reason.startswith("version 7 was taken back and version 3 serves again: version 7 in its probation")


def test_a_retraining_that_ended_with_its_killed_guard_says_no_longer_that_the_version_serves(
    airflow: KnownRuns,
) -> None:
    from tests.unit.operators.test_conclude import REHEARSED, live

    live(rehearsed=REHEARSED, deployed=deployed(current()))
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "failed"})
    sweep(airflow, times=2)
    ends = entries(EntryKind.CONCLUDED)
    assert [entry.facts["outcome"] for entry in ends] == ["broken", "rolled_back"]
    assert ends[-1].reason.startswith("version 7 was taken back")


def test_the_end_of_a_retraining_that_another_has_followed_is_not_written_late(airflow: KnownRuns) -> None:
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "skipped"})
    facts = {"dag_id": DAG, "run_id": "manual__2"}
    connect().ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", "manual__2", facts)
    sweep(airflow)
    assert (current().champion.version, entries(EntryKind.CONCLUDED)) == (3, [])


def test_a_bad_version_that_cannot_be_taken_back_is_told_once_as_critical_and_tried_again(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    lock()
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "skipped"})
    sweep(airflow, times=3)
    assert current().champion.version == 7
    assert kinds(web) == [("rollback_failed", "critical")]
    told = web.taken[0]
    assert told["sentence"].startswith(
        "price: version 7 has to go and was NOT taken back, it still serves: version 7 in"
    )
    assert (told["seq"], "lost 200 of 500 requests" in told["sentence"]) == (entries(EntryKind.GUARDED)[0].seq, True)
    lock(EntryKind.UNLOCKED)
    sweep(airflow, times=2)
    assert current().champion.version == 3
    assert kinds(web) == [("rollback_failed", "critical"), ("rolled_back", "error")]


def test_a_guard_that_airflow_tries_again_is_left_to_act_by_itself(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(DAG, RUN_ID, "running", {"guard": "up_for_retry"})
    sweep(airflow)
    assert (current().champion.version, web.taken) == (7, [])


def test_a_run_that_airflow_does_not_know_is_given_time_to_act_by_itself(
    airflow: KnownRuns, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(airflow)
    assert (current().champion.version, web.taken) == (7, [])
    monkeypatch.setattr("understudy.hooks.conditions.open_breaches.HEARD_WITHIN", timedelta())
    sweep(airflow)
    assert (current().champion.version, kinds(web)) == (3, [("rolled_back", "error")])


def test_a_guard_that_was_told_no_is_told_and_not_overruled(airflow: KnownRuns, web: WebReceiver) -> None:
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "failed"})
    airflow.xcoms[DAG, RUN_ID, "guard", REFUSAL_KEY] = str(RollbackRefused("price", "Version 7 is locked."))
    sweep(airflow, times=2)
    assert (current().champion.version, kinds(web)) == (7, [("rollback_failed", "critical")])


def test_what_people_let_serve_for_a_day_is_told_and_not_taken_from_them(
    airflow: KnownRuns, web: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_rollback, "STILL_WANTED", timedelta())
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "skipped"})
    sweep(airflow)
    assert (current().champion.version, kinds(web)) == (7, [("rollback_failed", "critical")])


def test_a_champion_that_another_decision_has_replaced_is_no_emergency(airflow: KnownRuns, web: WebReceiver) -> None:
    serve(9)
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "skipped"})
    sweep(airflow, times=2)
    assert (current().champion.version, kinds(web)) == (9, [("run_broken", "error")])
    assert "version 7 had to go, and another decision has replaced it" in web.taken[0]["sentence"]


def test_a_run_that_died_after_its_rollback_is_told_by_that_alone(airflow: KnownRuns, web: WebReceiver) -> None:
    guard = GuardOperator(task_id="guard", model="price", deployed=deployed(current()))
    with pytest.raises(Exception, match="was taken back and version 3 serves again"):
        guard.execute(context())
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "skipped"})
    sweep(airflow, times=2)
    assert kinds(web) == [("rolled_back", "error")]
    assert [entry.facts["outcome"] for entry in entries(EntryKind.CONCLUDED)] == ["rolled_back"]


def test_a_retraining_that_ends_says_that_what_its_killed_guard_found_out_serves_still(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    """As where a worker is lost: the guard fails, and *outcome* runs all the same."""
    from tests.unit.operators.test_conclude import REHEARSED, live

    told: dict[str, Any] = {"rehearsed": REHEARSED, "deployed": deployed(current())}
    concluded = live(**told)
    assert concluded["outcome"] == "broken"
    assert concluded["sentence"].startswith(
        "version 7 has to go and was NOT taken back, it served on when this run ended: version 7 in its"
    )
    assert concluded["sentence"].endswith("; its guard was ended before it could act")
    assert kinds(web) == [("rollback_failed", "critical")]
    lock()
    airflow.add(DAG, RUN_ID, "failed", {"guard": "failed", "outcome": "failed"})
    sweep(airflow)
    assert kinds(web) == [("rollback_failed", "critical")], "nobody is told twice"
    lock(EntryKind.UNLOCKED)
    sweep(airflow)
    again = live(**told)
    assert (again["outcome"], current().champion.version) == ("rolled_back", 3)
    assert again["sentence"].startswith(
        "version 7 was taken back and version 3 serves again: version 7 in its probation"
    )
    assert kinds(web)[1:] == [("rolled_back", "error")]


def test_a_retraining_whose_version_a_person_took_back_in_its_probation_says_so(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    from tests.unit.operators.test_conclude import GUARDED, REHEARSED, live

    record, hooks = current(), connect()
    rollback(hooks.deployments, hooks.registry, "price", by=By(actor="ann", reason="callers complain"))
    concluded = live(rehearsed=REHEARSED, deployed=deployed(record), guarded=GUARDED)
    assert (concluded["outcome"], concluded["champion"], concluded["bad"]) == ("rolled_back", 3, True)
    assert concluded["sentence"] == "version 7 was taken back and version 3 serves again: by ann, callers complain"
    assert [told["kind"] for told in web.taken] == ["rolled_back"]


def test_a_retraining_whose_version_another_promotion_replaced_in_its_probation_has_promoted_it(
    airflow: KnownRuns,
) -> None:
    from tests.unit.operators.test_conclude import GUARDED, REHEARSED, live

    record = current()
    serve(9)
    assert live(rehearsed=REHEARSED, deployed=deployed(record), guarded=GUARDED)["outcome"] == "promoted"


def test_a_retraining_whose_bad_version_another_decision_has_replaced_says_so(
    airflow: KnownRuns, web: WebReceiver
) -> None:
    from tests.unit.operators.test_conclude import REHEARSED, live

    record = current()
    serve(9)
    concluded = live(rehearsed=REHEARSED, deployed=deployed(record))
    assert concluded["sentence"].startswith(
        "version 7 had to go, and another decision has replaced it: version 7 in its"
    )
    assert kinds(web) == [("run_broken", "error")]
