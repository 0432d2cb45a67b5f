"""A challenger's rehearsal from its start to its end, with a real ledger and a gateway that says what a test wants."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tests.integration.fake_gateway import TOKEN, FakeGateway
from tests.unit.operators.live_traffic import (
    RUN,
    RUN_ID,
    begin,
    bless,
    bundle,
    context,
    current,
    declare,
    entries,
    evaluated,
    mirrored_at,
    one_gateway,
    report,
    seen_by,
    serve,
)
from understudy.contract.by import By
from understudy.contract.load import load_model
from understudy.contract.local_run import LocalRun
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.hooks.local_runs import alone, this_process
from understudy.hooks.mirroring import start_mirror
from understudy.hooks.places.serving_terms import terms_of
from understudy.operators import PromoteOperator, ShadowDeployOperator
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import GatewaysMissing, PromotionRefused, RehearsalDeclined
from understudy.operators.handover import Rehearsed
from understudy.operators.live.watch import Watch
from understudy.operators.tidy.mirrors import end_orphaned_mirrors
from understudy.settings import settings

LONG, SHORT = {"deadline": "1h", "min_requests": 100}, {"deadline": "1s", "min_requests": 100}


@pytest.fixture(autouse=True)
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with one_gateway(tmp_path, monkeypatch) as fake:
        declare(shadow=LONG)
        yield fake


def shadow(told: dict[str, Any] | None = None) -> ShadowDeployOperator:
    return ShadowDeployOperator(task_id="shadow", model="price", evaluated=told or evaluated())


def rehearse(gateway: FakeGateway, pushed: dict[str, Any] | None = None) -> dict[str, Any]:
    told = evaluated()
    event = seen_by(begin(shadow(told), context(pushed)))
    return shadow(told).execute_complete(context(pushed), json.loads(json.dumps(event)))


def test_what_is_decided_at_the_first_look_is_told_once_the_scheduler_has_seen_the_task_wait(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(3)
    gateway.report = report(3, 7)
    monkeypatch.setattr("understudy.operators.settle.SETTLES_S", 0.3)
    trigger, began = begin(shadow(), context()), time.monotonic()
    assert seen_by(trigger)["ending"] == "decided"
    assert time.monotonic() - began >= 0.3


def test_a_challenger_that_does_as_well_passes_and_its_mirror_ends(gateway: FakeGateway) -> None:
    serve(3)
    gateway.report = report(3, 7)
    told = evaluated()
    trigger = begin(shadow(told), context())
    assert (current().change, mirrored_at(gateway)) == (Change.MIRROR_STARTED, 7)
    rehearsed = Rehearsed.model_validate(shadow(told).execute_complete(context(), seen_by(trigger)))
    assert rehearsed.is_passed
    assert rehearsed.sentence == "version 7 was rehearsed beside version 3: all 4 questions passed"
    assert (current().change, current().mirror, mirrored_at(gateway)) == (Change.MIRROR_ENDED, None, None)
    assert current().champion_since == 1
    facts: Any = entries(EntryKind.REHEARSED)[0].facts
    assert (facts["verdict"], facts["version"], facts["champion_version"]) == ("passed", 7, 3)
    assert facts["report"]["pairs"] == 500


def test_one_that_came_out_as_the_champion_s_very_files_has_nothing_to_show(gateway: FakeGateway) -> None:
    serve(3)
    waved = Rehearsed.model_validate(shadow(evaluated(files_of=3)).execute(context()))
    assert (waved.is_passed, waved.sentence) == (True, "version 7 was not rehearsed: its files are those of champion 3")
    assert (entries(EntryKind.REFUSED), current().mirror) == ([], None)


@pytest.mark.parametrize("other", [{"image_digest": "rebuilt"}, {"own_image": "team"}, {"decision_threshold": 0.9}])
def test_the_champion_s_files_that_may_answer_otherwise_are_not_waved_through(
    gateway: FakeGateway, other: dict[str, Any]
) -> None:
    serve(3)
    told = evaluated(files_of=3)
    with pytest.raises(PromotionRefused, match="has the files of version 3, which serves"):
        shadow({**told, "bundle": {**told["bundle"], **other}}).execute(context())
    assert current().mirror is None


def test_one_that_fails_is_skipped_with_the_evidence(gateway: FakeGateway) -> None:
    serve(3)
    gateway.report = report(3, 7, lost=100)
    pushed: dict[str, Any] = {}
    with pytest.raises(RehearsalDeclined, match="lost 100 of 500 requests") as declined:
        rehearse(gateway, pushed)
    assert isinstance(declined.value, AirflowSkipException)
    assert Rehearsed.model_validate(pushed["return_value"]).judgement.verdict == "failed"
    assert entries(EntryKind.REHEARSED)[0].facts["verdict"] == "failed"
    assert current().mirror is None


def test_too_little_traffic_until_the_deadline_declines(gateway: FakeGateway) -> None:
    declare(shadow=SHORT)
    serve(3)
    gateway.report = report(3, 7, requests=40)
    with pytest.raises(RehearsalDeclined, match=r"not decided within 1s: .*100 are needed, about 60 more"):
        rehearse(gateway)
    assert entries(EntryKind.REHEARSED)[0].facts["verdict"] == "inconclusive"
    assert current().mirror is None


def test_an_unreachable_gateway_is_asked_again_until_the_deadline_and_that_is_said(gateway: FakeGateway) -> None:
    declare(shadow=SHORT)
    serve(3)
    trigger = begin(shadow(), context())
    gateway.is_down = True
    event = seen_by(trigger)
    gateway.is_down = False
    with pytest.raises(RehearsalDeclined, match="the last look failed: Gateway http"):
        shadow().execute_complete(context(), event)
    assert current().mirror is None


def test_a_gateway_that_comes_back_in_time_costs_nothing(gateway: FakeGateway) -> None:
    serve(3)
    trigger = begin(shadow(), context())
    gateway.report = report(3, 7)
    trigger.watch = {**trigger.watch, "gates": {**trigger.watch["gates"], "deadline": "50s"}}
    gateway.is_down, gateway.comes_back_after = True, 2
    assert seen_by(trigger)["ending"] == "decided"


def test_a_champion_that_is_replaced_meanwhile_leaves_nothing_to_decide(gateway: FakeGateway) -> None:
    serve(3)
    told = evaluated()
    trigger = begin(shadow(told), context())
    serve(5)
    gateway.report = report(3, 7)
    event = seen_by(trigger)
    assert event["ending"] == "overtaken"
    with pytest.raises(RehearsalDeclined, match="another decision replaced the one that was watched"):
        shadow(told).execute_complete(context(), event)
    assert (current().champion.version, current().epoch) == (5, 3)


def test_a_report_of_other_versions_decides_nothing(gateway: FakeGateway) -> None:
    declare(shadow=SHORT)
    serve(3)
    gateway.report = report(2, 7)
    with pytest.raises(RehearsalDeclined, match="no gateway reported"):
        rehearse(gateway)


def test_a_challenger_that_no_gateway_can_load_is_declined(gateway: FakeGateway) -> None:
    serve(3)
    gateway.refuses[7] = "it cannot be warmed up."
    pushed: dict[str, Any] = {}
    with pytest.raises(RehearsalDeclined, match=r"cannot be rehearsed: .*it cannot be warmed up"):
        shadow().execute(context(pushed))
    assert Rehearsed.model_validate(pushed["return_value"]).judgement.verdict == "failed"
    assert current().change is Change.PROMOTION


def test_what_is_not_blessed_is_skipped(gateway: FakeGateway) -> None:
    with pytest.raises(AirflowSkipException, match=r"version 7 is not blessed: roc_auc is 0\.6"):
        shadow(evaluated(is_blessed=False)).execute(context())


@pytest.mark.parametrize("sections", [{"serving": None}, {"shadow": None}, {}], ids=["batch", "no shadow", "first"])
def test_where_there_is_nothing_to_rehearse_that_is_said(gateway: FakeGateway, sections: dict[str, Any]) -> None:
    declare(**sections) if sections else declare(shadow=LONG)
    if sections:
        serve(3)
    rehearsed = Rehearsed.model_validate(shadow().execute(context()))
    assert rehearsed.is_passed
    assert rehearsed.judgement.rubber_stamped
    assert "was not rehearsed" in entries(EntryKind.REHEARSED)[0].reason


def test_a_served_model_without_gateways_is_not_waved_through(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(3)
    monkeypatch.delenv("AIRFLOW__UNDERSTUDY__GATEWAYS")
    settings.cache_clear()
    with pytest.raises(GatewaysMissing, match="AIRFLOW__UNDERSTUDY__GATEWAYS") as missing:
        shadow().execute(context())
    assert isinstance(missing.value, AirflowFailException)


def test_a_stale_blessing_is_refused_before_anything_starts(gateway: FakeGateway) -> None:
    serve(3)
    told = evaluated()
    serve(5)
    pushed: dict[str, Any] = {}
    with pytest.raises(PromotionRefused, match="its blessing is stale"):
        shadow(told).execute(context(pushed))
    assert "stale" in pushed[REFUSAL_KEY]
    assert mirrored_at(gateway) is None


def test_a_retry_goes_on_with_the_same_mirror_and_the_same_deadline(gateway: FakeGateway) -> None:
    serve(3)
    once, again = begin(shadow(), context()), begin(shadow(), context())
    assert once.watch == again.watch
    assert current().epoch == 2


def test_a_user_s_kill_ends_the_mirror(gateway: FakeGateway) -> None:
    serve(3)
    trigger = begin(shadow(), context())
    asyncio.run(trigger.on_kill())
    assert (current().change, mirrored_at(gateway)) == (Change.MIRROR_ENDED, None)


def test_what_waits_in_the_triggerer_holds_no_secret(gateway: FakeGateway) -> None:
    serve(3)
    kept = json.dumps(begin(shadow(), context()).serialize())
    assert TOKEN.get_secret_value() not in kept
    assert Watch.model_validate(json.loads(kept)[1]["watch"]).mirror == 7


def test_the_watch_looks_often_and_not_too_often(gateway: FakeGateway) -> None:
    serve(3)
    watch = Watch.model_validate(begin(shadow(), context()).watch)
    assert watch.poll_s == 36
    short, long = (
        watch.model_copy(update={"gates": watch.gates.model_copy(update={"deadline": watch.length * factor})})
        for factor in (0.001, 1000)
    )
    assert (short.poll_s, long.poll_s) == (0.5, 60)


# Promotion asks for it, and housekeeping tidies up.


def test_a_declared_rehearsal_cannot_be_skipped(gateway: FakeGateway) -> None:
    serve(3)
    told = evaluated()
    bless(told)
    with pytest.raises(PromotionRefused, match="asks for a rehearsal, and there is no rehearsal of it in this run"):
        PromoteOperator(task_id="promote", model="price", evaluated=told).execute(context())
    assert current().champion.version == 3


def test_a_passed_rehearsal_is_promoted_and_the_one_before_stays_as_mirror(gateway: FakeGateway) -> None:
    declare(shadow=LONG, guard={"share": 0.5})
    serve(3)
    gateway.report = report(3, 7)
    told = evaluated()
    bless(told)
    passed = shadow(told).execute_complete(context(), seen_by(begin(shadow(told), context())))
    PromoteOperator(task_id="promote", model="price", evaluated=told, rehearsed=passed).execute(context())
    assert (current().champion.version, current().mirror, current().mirror_share) == (7, bundle(3), 0.5)
    assert (gateway.version("price"), mirrored_at(gateway)) == (7, 3)
    assert gateway.probes


def left_behind(run: str | None = RUN, local: LocalRun | None = None) -> None:
    serve(3)
    hooks = connect()
    assert hooks.gateways is not None
    start_mirror(
        hooks.deployments, hooks.registry, hooks.gateways, terms_of(load_model(settings().models_dir, "price")),
        bundle(7), 1.0, by=By(actor="ann", reason="rehearsal", run=run),
    )  # fmt: skip
    facts: dict[str, Any] = {"run_id": RUN_ID, "dag_id": "retrain__price"}
    facts |= {"local": local.model_dump()} if local else {}
    if run:
        hooks.ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", run, facts)


def tidied(*, is_running: bool, days: float = 0) -> list[str]:
    asked: list[tuple[str, str]] = []

    def ask(dag_id: str, run_id: str) -> bool:
        asked.append((dag_id, run_id))
        return is_running

    ended, left = end_orphaned_mirrors(connect(), datetime.now(timezone.utc) + timedelta(days=days), ask)
    assert left == []
    assert set(asked) <= {("retrain__price", RUN_ID)}
    return ended


def test_housekeeping_ends_the_mirror_of_a_run_that_is_gone(gateway: FakeGateway) -> None:
    left_behind()
    assert tidied(is_running=True) == []
    assert tidied(is_running=False) == ["price"]
    assert (current().mirror, mirrored_at(gateway)) == (None, None)
    assert tidied(is_running=False) == []


def test_housekeeping_ends_the_mirror_of_a_run_without_a_scheduler_when_its_process_has_died(
    gateway: FakeGateway,
) -> None:
    home = settings().home
    with alone(home, "retrain__price"):
        left_behind(local=this_process(home, "retrain__price"))
        assert tidied(is_running=False) == [], "Airflow knows nothing of it"
    assert tidied(is_running=False) == ["price"]


def test_housekeeping_ends_a_mirror_that_is_late_whatever_its_run_does(gateway: FakeGateway) -> None:
    left_behind()
    assert tidied(is_running=True, days=29) == []
    assert tidied(is_running=True, days=31) == ["price"]


def test_housekeeping_leaves_a_person_s_mirror_alone_for_a_while(gateway: FakeGateway) -> None:
    left_behind(run=None)
    assert tidied(is_running=False) == []
