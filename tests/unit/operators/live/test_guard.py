"""A new champion's probation from its start to its end, with a real ledger and a gateway of the test's own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.integration.fake_gateway import FakeGateway
from tests.unit.operators.live_traffic import (
    RUN,
    begin,
    bundle,
    context,
    current,
    declare,
    deployed,
    entries,
    mirrored_at,
    one_gateway,
    report,
    seen_by,
    serve,
)
from understudy.contract.release import Deployment
from understudy.contract.serving import ModelStatus, WorkerStatus
from understudy.contract.words import Change, EntryKind, Role
from understudy.hooks.connect import connect
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.operators import GuardOperator
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import GatewaysMissing, ProbationBreached, RollbackRefused
from understudy.operators.handover import Guarded
from understudy.settings import settings

LONG, SHORT = {"probation": "1h", "min_requests": 100}, {"probation": "1s", "min_requests": 100}


@pytest.fixture(autouse=True)
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with one_gateway(tmp_path, monkeypatch) as fake:
        declare(guard=LONG)
        yield fake


def promoted(*, mirror: float = 1.0) -> Deployment:
    """Let version 7 follow version 3, as a promotion of this run writes it."""
    serve(3)
    return serve(7, mirror=mirror, run=RUN)


def guard(record: Deployment) -> GuardOperator:
    return GuardOperator(task_id="guard", model="price", deployed=deployed(record))


def watched(record: Deployment) -> Guarded:
    event = seen_by(begin(guard(record), context()))
    return Guarded.model_validate(guard(record).execute_complete(context(), event))


def test_a_breach_takes_the_champion_back_with_the_evidence(gateway: FakeGateway) -> None:
    record = promoted()
    gateway.report = report(7, 3, errors=200)
    pushed: dict[str, Any] = {}
    event = seen_by(begin(guard(record), context()))
    with pytest.raises(ProbationBreached, match="version 7 was taken back and version 3 serves again") as breached:
        guard(record).execute_complete(context(pushed), event)
    assert isinstance(breached.value, AirflowFailException)
    assert Guarded.model_validate(pushed["return_value"]).rolled_back_to == 3
    assert (current().change, current().champion.version, gateway.version("price")) == (Change.ROLLBACK, 3, 3)
    facts: Any = entries(EntryKind.GUARDED)[0].facts
    assert (facts["verdict"], facts["breach"], facts["report"]["champion"]["errors"]) == ("failed", True, 200)
    back = entries(EntryKind.DEPLOYED)[-1]
    assert back.actor == "guard"
    assert "lost 200 of 500 requests" in back.reason
    assert bundle(7).model_sha256 in connect().deployments.denied("price")


def test_a_probation_without_a_breach_ends_the_mirror_and_keeps_the_champion(gateway: FakeGateway) -> None:
    declare(guard=SHORT)
    record = promoted()
    gateway.report = report(7, 3)
    guarded = Guarded.model_validate(
        guard(record).execute_complete(context(), seen_by(begin(guard(record), context())))
    )
    assert (guarded.judgement.verdict, guarded.rolled_back_to) == ("passed", None)
    assert (current().change, current().champion.version, current().mirror) == (Change.MIRROR_ENDED, 7, None)
    assert entries(EntryKind.GUARDED)[0].facts["ending"] == "time_is_up"


def test_too_little_traffic_is_recorded_as_that_and_the_champion_stays(gateway: FakeGateway) -> None:
    declare(guard=SHORT)
    record = promoted()
    gateway.report = report(7, 3, requests=5)
    guarded = Guarded.model_validate(
        guard(record).execute_complete(context(), seen_by(begin(guard(record), context())))
    )
    assert guarded.judgement.verdict == "inconclusive"
    assert "100 are needed" in guarded.sentence
    assert current().champion.version == 7


def test_gateways_that_nobody_can_ask_are_a_breach_of_trust(gateway: FakeGateway) -> None:
    record = promoted()
    trigger = begin(guard(record), context())
    trigger.watch = {**trigger.watch, "grace_s": 0.0}
    gateway.is_down = True
    event = seen_by(trigger)
    assert event["ending"] == "out_of_sight"
    gateway.is_down = False
    with pytest.raises(ProbationBreached, match="for more than 0 s nobody could see it answer"):
        guard(record).execute_complete(context(), event)
    assert current().champion.version == 3


@pytest.mark.parametrize(
    ("worker", "says"),
    [
        ({"is_ready": False, "problem": "killed: out of memory"}, "version 7 cannot answer at east: killed: out of"),
        ({"is_ready": True, "restarts": 3}, "version 7 died 3 times at east"),
    ],
    ids=["dead", "crashing"],
)
def test_a_champion_in_whose_place_the_one_before_answers_is_taken_back(
    gateway: FakeGateway, worker: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = promoted()
    trigger = begin(guard(record), context())
    trigger.watch = {**trigger.watch, "grace_s": 0.0}
    gateway.report = report(7, 3)
    facts = {"version": 7, "role": Role.CHAMPION, "pid": 1, "restarts": 0, "rss_bytes": None, "queued": 0, **worker}
    status = ModelStatus(
        gateway="east", model="price", epoch=2, version=7, workers=(WorkerStatus.model_validate(facts),)
    )
    monkeypatch.setattr("understudy.hooks.places.gateways.Gateways.status", lambda *_: (status,))
    with pytest.raises(ProbationBreached, match=says):
        guard(record).execute_complete(context(), seen_by(trigger))
    assert current().champion.version == 3


def test_an_unreadable_ledger_is_no_breach(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    declare(guard=SHORT)
    record = promoted()
    trigger = begin(guard(record), context())
    trigger.watch = {**trigger.watch, "grace_s": 0.0}
    with monkeypatch.context() as patch:
        (tmp_path / "broken.db").write_text("no database at all, but much longer than a header would be " * 20)
        patch.setenv("AIRFLOW__UNDERSTUDY__LEDGER_URL", f"sqlite:///{tmp_path / 'broken.db'}")
        settings.cache_clear()
        event = seen_by(trigger)
    settings.cache_clear()
    assert event["ending"] == "time_is_up"
    guarded = Guarded.model_validate(guard(record).execute_complete(context(), event))
    assert guarded.judgement.verdict == "inconclusive"
    assert current().champion.version == 7


def test_a_first_champion_has_no_probation(gateway: FakeGateway) -> None:
    guarded = Guarded.model_validate(guard(serve(1)).execute(context()))
    assert guarded.judgement.verdict == "inconclusive"
    assert "it is the first champion" in guarded.sentence
    assert entries(EntryKind.GUARDED)[0].reason == guarded.sentence


def test_a_champion_that_was_replaced_already_is_not_watched(gateway: FakeGateway) -> None:
    record = promoted()
    serve(9)
    assert "another decision has replaced it" in Guarded.model_validate(guard(record).execute(context())).sentence


def test_a_champion_that_is_replaced_meanwhile_is_not_taken_back(gateway: FakeGateway) -> None:
    record = promoted()
    gateway.report = report(7, 3, errors=200)
    event = seen_by(begin(guard(record), context()))
    serve(9)
    guarded = Guarded.model_validate(guard(record).execute_complete(context(), event))
    assert guarded.rolled_back_to is None
    assert (current().champion.version, current().epoch) == (9, 3)


def test_a_mirror_that_somebody_ended_is_started_again(gateway: FakeGateway) -> None:
    record = promoted(mirror=0.0)
    begin(guard(record), context())
    assert (current().change, mirrored_at(gateway), current().champion_since) == (Change.MIRROR_STARTED, 3, 2)


def test_one_before_that_cannot_be_loaded_leaves_nothing_to_compare_with(gateway: FakeGateway) -> None:
    record = promoted(mirror=0.0)
    gateway.refuses[3] = "it cannot be warmed up"
    assert "cannot answer beside it" in Guarded.model_validate(guard(record).execute(context())).sentence


def test_a_retry_does_not_begin_the_probation_anew(gateway: FakeGateway) -> None:
    record = promoted()
    assert begin(guard(record), context()).watch == begin(guard(record), context()).watch
    assert current().epoch == 2


def test_a_breach_that_was_judged_by_a_worker_that_died_is_acted_upon(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = promoted()
    gateway.report = report(7, 3, errors=200)
    event = seen_by(begin(guard(record), context()))
    with monkeypatch.context() as patch:
        patch.setattr("understudy.operators.live.guard.rollback", died)
        with pytest.raises(KeyboardInterrupt):
            guard(record).execute_complete(context(), event)
    assert current().champion.version == 7
    with pytest.raises(ProbationBreached):
        guard(record).execute(context())
    assert current().champion.version == 3
    with pytest.raises(ProbationBreached):
        guard(record).execute(context())
    assert [entry.facts["epoch"] for entry in entries(EntryKind.DEPLOYED)] == [1, 2, 3]


def died(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_gateway_that_lags_is_told_and_tried_again(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    record = promoted()
    gateway.report = report(7, 3, errors=200)
    event = seen_by(begin(guard(record), context()))
    gateway.answers_as = 7
    pushed: dict[str, Any] = {}
    with pytest.raises(GatewayLagging):
        guard(record).execute_complete(context(pushed), event)
    told = Guarded.model_validate(pushed["return_value"])
    assert told.rolled_back_to == 3
    assert "Lagging" in told.sentence
    gateway.answers_as = None
    with pytest.raises(ProbationBreached):
        guard(record).execute(context())


def test_a_locked_champion_stays_and_that_is_told(gateway: FakeGateway) -> None:
    record = promoted()
    gateway.report = report(7, 3, errors=200)
    event = seen_by(begin(guard(record), context()))
    connect().deployments.ledger.append(
        "price", EntryKind.LOCKED, "ann", "the auditors look at it", facts={"version": 7}
    )
    pushed: dict[str, Any] = {}
    with pytest.raises(RollbackRefused, match="the auditors look at it"):
        guard(record).execute_complete(context(pushed), event)
    assert "lost 200 of 500" in pushed[REFUSAL_KEY]
    assert current().champion.version == 7


def test_a_user_s_kill_ends_the_mirror_and_keeps_the_champion(gateway: FakeGateway) -> None:
    record = promoted()
    asyncio.run(begin(guard(record), context()).on_kill())
    assert (current().champion.version, current().mirror) == (7, None)


def test_without_gateways_nobody_can_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    record = promoted()
    monkeypatch.delenv("AIRFLOW__UNDERSTUDY__GATEWAYS")
    settings.cache_clear()
    with pytest.raises(GatewaysMissing):
        guard(record).execute(context())
