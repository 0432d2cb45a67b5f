"""A challenger's canary from share to share, with a real ledger and a gateway that says what a test wants."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tests.integration.fake_gateway import TOKEN, FakeGateway
from tests.unit.contract.live.canary_reports import report_of
from tests.unit.operators.live_traffic import (
    RUN,
    RUN_ID,
    begin,
    bless,
    bundle,
    context,
    current,
    declare,
    deferred_by,
    entries,
    evaluated,
    one_gateway,
    report,
    seen_by,
    serve,
)
from understudy.contract.by import By
from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.live.canary_report import CanaryQuery, CanaryReport
from understudy.contract.load import load_model
from understudy.contract.words import Change, EntryKind
from understudy.hooks.beside import end_beside
from understudy.hooks.canarying import start_canary, step_canary
from understudy.hooks.connect import connect
from understudy.hooks.errors import EpochConflict
from understudy.hooks.mirroring import start_mirror
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.places.serving_terms import terms_of
from understudy.hooks.rollback import rollback
from understudy.operators import CanaryOperator, PromoteOperator
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import PromotionRefused, RehearsalDeclined
from understudy.operators.handover import Canaried
from understudy.operators.live.canary_watch import CanaryWatch
from understudy.operators.tidy.mirrors import end_orphaned_mirrors
from understudy.settings import settings

STEPS = [0.1, 0.5, 1.0]
QUICK = {"steps": STEPS, "hold": "0s", "step_deadline": "1h", "min_requests": 100}
HASTY = {**QUICK, "step_deadline": "1s"}


@pytest.fixture(autouse=True)
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with one_gateway(tmp_path, monkeypatch) as fake:
        declare(canary=QUICK)
        serve(3)
        yield fake


def canary(told: dict[str, Any] | None = None) -> CanaryOperator:
    return CanaryOperator(task_id="canary", model="price", evaluated=told or evaluated())


def saying(**what: Any) -> Callable[[CanaryQuery], CanaryReport]:
    return lambda query: report_of(query, **what)


def at_gateway(gateway: FakeGateway) -> tuple[int | None, float]:
    record = gateway.orders["price"].record
    return (record.canary.version if record.canary else None), record.canary_share


def changes() -> list[Change]:
    return [served.deployment.change for served in connect().deployments.history("price")]


def test_a_good_challenger_rises_step_by_step_and_is_promoted_from_its_last_share(gateway: FakeGateway) -> None:
    gateway.canary = saying()
    told = evaluated()
    bless(told)
    trigger = begin(canary(told), context())
    shares = []
    for _ in STEPS[1:]:
        shares.append(at_gateway(gateway))
        event = seen_by(trigger)
        trigger = deferred_by(partial(canary(told).execute_complete, context(), event))
    shares.append(at_gateway(gateway))
    passed = Canaried.model_validate(canary(told).execute_complete(context(), seen_by(trigger)))
    assert shares == [(7, share) for share in STEPS]
    assert (passed.is_passed, passed.share) == (True, 1.0)
    assert at_gateway(gateway) == (7, 1.0)
    assert current().champion_since == 1
    steps: Any = [entry.facts for entry in entries(EntryKind.CANARIED)]
    assert [(step["share"], step["verdict"], step["report"]["canary"]["tally"]["requests"]) for step in steps] == [
        (share, "passed", 500) for share in STEPS
    ]
    PromoteOperator(task_id="promote", model="price", evaluated=told, canaried=passed.model_dump(mode="json")).execute(
        context()
    )
    assert (current().champion.version, current().canary) == (7, None)
    assert changes() == [
        Change.PROMOTION, Change.CANARY_STARTED, Change.CANARY_STEPPED, Change.CANARY_STEPPED, Change.PROMOTION,
    ]  # fmt: skip


def test_one_that_fails_gives_its_callers_back_at_once_with_the_evidence(gateway: FakeGateway) -> None:
    told, pushed = evaluated(), dict[str, Any]()
    gateway.canary = saying()
    trigger = begin(canary(told), context())
    trigger = deferred_by(lambda: canary(told).execute_complete(context(), seen_by(trigger)))
    gateway.canary = saying(lost=100)
    with pytest.raises(RehearsalDeclined, match=r"50% of the callers beside version 3: .*lost 100 of 500") as declined:
        canary(told).execute_complete(context(pushed), seen_by(trigger))
    assert isinstance(declined.value, AirflowSkipException)
    assert Canaried.model_validate(pushed["return_value"]).share == 0.5
    assert entries(EntryKind.CANARIED)[-1].facts["verdict"] == "failed"
    assert (current().change, at_gateway(gateway)) == (Change.CANARY_ENDED, (None, 0.0))


def test_too_little_traffic_until_the_deadline_of_a_step_declines(gateway: FakeGateway) -> None:
    declare(canary=HASTY)
    gateway.canary = saying(requests=40)
    event = seen_by(begin(canary(), context()))
    with pytest.raises(RehearsalDeclined, match=r"not decided within 1s: .*about 60 more"):
        canary().execute_complete(context(), event)
    assert current().canary is None


def test_a_share_is_held_as_long_as_declared_however_good_it_looks(gateway: FakeGateway) -> None:
    declare(canary={**HASTY, "hold": "1s"})
    gateway.canary = saying()
    trigger = begin(canary(), context())
    watch = CanaryWatch.model_validate(trigger.watch)
    assert seen_by(trigger)["ending"] == "decided"
    assert datetime.now(timezone.utc) >= watch.step_since + timedelta(seconds=1)


def test_gateways_out_of_sight_for_the_grace_give_the_callers_back(gateway: FakeGateway) -> None:
    declare(canary={**QUICK, "grace": "1s"})
    trigger = begin(canary(), context())
    gateway.is_down = True
    event = seen_by(trigger)
    gateway.is_down = False
    assert event["ending"] == "out_of_sight"
    with pytest.raises(RehearsalDeclined, match="for more than 1 s nobody could see it answer"):
        canary().execute_complete(context(), event)
    assert (current().canary, at_gateway(gateway)) == (None, (None, 0.0))


def test_a_report_of_another_share_decides_nothing(gateway: FakeGateway) -> None:
    declare(canary=HASTY)
    gateway.canary = lambda query: report_of(query).model_copy(update={"epoch": query.epoch - 1})
    event = seen_by(begin(canary(), context()))
    with pytest.raises(RehearsalDeclined, match="no gateway reported"):
        canary().execute_complete(context(), event)


def rolled_back() -> None:
    hooks = connect()
    rollback(
        hooks.deployments, hooks.registry, "price", by=By(actor="ann", reason="bad"), gateways=hooks.gateways,
        terms=terms_of(load_model(settings().models_dir, "price")),
    )  # fmt: skip


def locked() -> None:
    connect().deployments.ledger.append("price", EntryKind.LOCKED, "ann", "audit", facts={"version": 3})


def held() -> None:
    connect().deployments.ledger.append("price", EntryKind.HELD, "ann", "a new tariff")


def denied() -> None:
    connect().deployments.deny("price", bundle(7).model_sha256, By(actor="ann", reason="poisoned data"))


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (lambda: serve(5), "version 5"),
        (locked, "was locked: audit"),
        (held, "held by ann: a new tariff"),
        (denied, "was denied: poisoned data"),
    ],
    ids=["another champion", "a lock", "a hold", "a denial"],
)
def test_a_decision_that_forbids_it_ends_it(gateway: FakeGateway, decision: Callable[[], object], told: str) -> None:
    gateway.canary = saying()
    trigger = begin(canary(), context())
    decision()
    event = seen_by(trigger)
    assert event["ending"] == "overtaken"
    with pytest.raises(RehearsalDeclined, match=told):
        canary().execute_complete(context(), event)
    assert current().canary is None


def test_a_rollback_wins_over_a_canary_that_is_about_to_rise(gateway: FakeGateway) -> None:
    serve(5)
    gateway.canary = saying()
    told, pushed = evaluated(), dict[str, Any]()
    event = seen_by(begin(canary(told), context()))
    rolled_back()
    with pytest.raises(PromotionRefused, match="somebody else"):
        canary(told).execute_complete(context(pushed), event)
    assert "somebody else" in pushed[REFUSAL_KEY]
    assert (current().champion.version, current().change, at_gateway(gateway)) == (3, Change.ROLLBACK, (None, 0.0))


def test_a_locked_champion_keeps_all_its_callers(gateway: FakeGateway) -> None:
    locked()
    with pytest.raises(PromotionRefused, match="Unlock it first"):
        canary().execute(context())
    assert current().change is Change.PROMOTION


def test_a_stale_blessing_is_refused_before_anything_starts(gateway: FakeGateway) -> None:
    told = evaluated()
    serve(5)
    with pytest.raises(PromotionRefused, match="its blessing is stale"):
        canary(told).execute(context())
    assert current().canary is None


def test_a_challenger_that_no_gateway_can_load_is_declined(gateway: FakeGateway) -> None:
    gateway.refuses[7] = "it cannot be warmed up."
    with pytest.raises(RehearsalDeclined, match=r"cannot be tried on callers: .*it cannot be warmed up"):
        canary().execute(context())
    assert current().change is Change.PROMOTION


def test_one_that_came_out_as_the_champion_s_very_files_has_nothing_to_show(gateway: FakeGateway) -> None:
    waved = Canaried.model_validate(canary(evaluated(files_of=3)).execute(context()))
    assert (waved.is_passed, waved.sentence) == (
        True,
        "version 7 was not tried on callers: its files are those of champion 3",
    )
    assert current().canary is None


@pytest.mark.parametrize("sections", [{"serving": None}, {}], ids=["batch", "no canary"])
def test_where_no_canary_is_asked_for_that_is_said(gateway: FakeGateway, sections: dict[str, Any]) -> None:
    declare(**sections)
    waved = Canaried.model_validate(canary().execute(context()))
    assert (waved.is_passed, waved.judgement.rubber_stamped) == (True, True)
    assert "was not tried on callers" in entries(EntryKind.CANARIED)[0].reason


def test_a_retry_goes_on_at_the_share_that_the_record_says(gateway: FakeGateway) -> None:
    gateway.canary = saying()
    told = evaluated()
    once = begin(canary(told), context())
    assert begin(canary(told), context()).watch == once.watch
    risen = deferred_by(lambda: canary(told).execute_complete(context(), seen_by(once)))
    again = begin(canary(told), context())
    assert again.watch == risen.watch
    assert (again.watch["share"], again.watch["since"]) == (0.5, once.watch["since"])
    assert current().epoch == 3


def test_a_gateway_that_does_not_follow_ends_it(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.canary = saying()
    told = evaluated()
    trigger = begin(canary(told), context())
    event = seen_by(trigger)
    gateway.status = 503
    for function in (step_canary, end_beside):
        assert function.__kwdefaults__ is not None
        monkeypatch.setitem(function.__kwdefaults__, "within_s", 0.1)
    with pytest.raises(GatewayLagging):
        canary(told).execute_complete(context(), event)
    assert current().change is Change.CANARY_ENDED


def test_a_user_s_kill_gives_the_callers_back(gateway: FakeGateway) -> None:
    trigger = begin(canary(), context())
    asyncio.run(trigger.on_kill())
    assert (current().change, at_gateway(gateway)) == (Change.CANARY_ENDED, (None, 0.0))


def test_what_waits_in_the_triggerer_holds_no_secret(gateway: FakeGateway) -> None:
    kept = json.dumps(begin(canary(), context()).serialize())
    assert TOKEN.get_secret_value() not in kept


def test_a_declared_canary_cannot_be_skipped_and_a_refused_promotion_ends_it(gateway: FakeGateway) -> None:
    told = evaluated()
    bless(told)
    begin(canary(told), context())
    with pytest.raises(PromotionRefused, match="asks for a canary, and there is no canary of it in this run"):
        PromoteOperator(task_id="promote", model="price", evaluated=told).execute(context())
    assert (current().champion.version, current().canary) == (3, None)


def test_only_one_version_is_tried_at_a_time(gateway: FakeGateway) -> None:
    hooks, terms = connect(), terms_of(load_model(settings().models_dir, "price"))
    assert hooks.gateways is not None
    by = By(actor="ann", reason="because", run=RUN)
    start_mirror(hooks.deployments, hooks.registry, hooks.gateways, terms, bundle(6), 1.0, by=by)
    begin(canary(), context())
    assert (current().mirror, current().canary) == (None, bundle(7))
    start_mirror(hooks.deployments, hooks.registry, hooks.gateways, terms, bundle(6), 1.0, by=by)
    assert (current().mirror, current().canary, current().canary_share) == (bundle(6), None, 0.0)


def test_a_canary_of_another_champion_s_challenger_is_refused(gateway: FakeGateway) -> None:
    hooks, terms = connect(), terms_of(load_model(settings().models_dir, "price"))
    assert hooks.gateways is not None
    with pytest.raises(EpochConflict):
        start_canary(
            hooks.deployments, hooks.registry, hooks.gateways, terms, bundle(7), 0.1, champion_since=9,
            by=By(actor="ann", reason="because", run=RUN),
        )  # fmt: skip


def test_an_ab_test_lasts_until_its_horizon_and_ends_by_value(gateway: FakeGateway) -> None:
    declare(
        canary={"mode": "ab", "horizon": "5s", "block": "1s", "min_requests": 100, "share": 0.5},
        evaluate={"value": {"costs": {"0": {"0": 0, "1": 1}, "1": {"0": 5, "1": 0}}}},
    )
    gateway.canary = lambda query: report_of(query, gain=0.2, blocks=8, is_valued=query.costs is not None)
    trigger = begin(canary(), context())
    assert trigger.watch["costs"]["1"]["0"] == 5
    event = seen_by(trigger)
    assert event["ending"] == "time_is_up"
    passed = Canaried.model_validate(canary().execute_complete(context(), event))
    value = next(result for result in passed.judgement.results if result.gate == "value")
    assert (passed.is_passed, round(value.measured or 0, 3)) == (True, 0.2)
    assert value.low is not None
    assert "value per row than version 3" in value.sentence


# Housekeeping.


def test_housekeeping_ends_the_canary_of_a_run_that_is_gone_or_late(gateway: FakeGateway) -> None:
    begin(canary(), context())
    facts = {"run_id": RUN_ID, "dag_id": "retrain__price"}
    connect().ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", RUN, facts)

    def tidied(*, is_running: bool, hours: float = 0) -> list[str]:
        now = datetime.now(timezone.utc) + timedelta(hours=hours)
        ended, left = end_orphaned_mirrors(connect(), now, lambda *_: is_running)
        assert left == []
        return ended

    longest = CanarySpec.model_validate(QUICK).longest / timedelta(hours=1)
    assert tidied(is_running=True, hours=longest) == []
    assert tidied(is_running=True, hours=longest + 2) == ["price"]
    assert (current().canary, at_gateway(gateway)) == (None, (None, 0.0))


def test_a_rehearsal_s_report_is_no_canary_s(gateway: FakeGateway) -> None:
    declare(canary=HASTY)
    gateway.report, gateway.canary = report(3, 7), saying(requests=0)
    with pytest.raises(RehearsalDeclined, match="it is unknown how many requests were lost"):
        canary().execute_complete(context(), seen_by(begin(canary(), context())))
