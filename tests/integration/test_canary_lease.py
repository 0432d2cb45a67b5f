"""A canary at a real gateway that is cut off from everybody who could end it, and what the ledger hears of it later."""

import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.keyed_traffic import KEYS, Callers, KeyedTraffic, canary_order
from tests.integration.real_gateway import MODEL, PATIENCE_S, Running, Trained, order_of, until
from tests.integration.replica import Truth, replica
from understudy.contract.by import By
from understudy.contract.live.canary_report import CanaryQuery
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Change, EntryKind, Role
from understudy.hooks.places.gateway_errors import GatewayRefused


def leased(trained: Trained, lease_s: float, epoch: int = 2) -> ServingOrder:
    order = canary_order(trained, epoch, 0.4 if epoch == 2 else 0.6)
    return order.model_copy(update={"terms": order.terms.model_copy(update={"canary_lease_s": lease_s})})


def tried(truth: Truth, gateway: Running, order: ServingOrder) -> None:
    """Write a record and order it, as an operator does."""
    truth.deployments.deploy(
        order.record, order.record.epoch - 1, By(actor="ann", reason="canary of version 2", run="run1")
    )
    gateway.serve(order)


def told(gateway: Running) -> dict[str, Any]:
    health: dict[str, Any] = httpx.get(f"{gateway.url}/health", timeout=PATIENCE_S).json()["models"][MODEL]
    return health


def left_s(gateway: Running) -> float:
    left = told(gateway)["canary_left_s"]
    assert left is not None
    return float(left)


def test_a_replica_that_is_cut_off_ends_the_canary_by_itself_and_the_ledger_ends_it_for_all(
    tmp_path: Path, trained: Trained
) -> None:
    truth = Truth(tmp_path, trained)
    with replica(tmp_path / "g", "east", trained) as gateway:
        truth.promote(1, 1, None)
        gateway.serve(order_of(trained, 1, 1))
        tried(truth, gateway, leased(trained, 600))
        follower = truth.follower(gateway)
        with KeyedTraffic(gateway) as traffic:
            for renew in (follower.step, lambda: asked_about(gateway)):
                until(lambda: left_s(gateway) < 598)
                began = time.monotonic()
                renew()
                # However slow this machine is: no less than what was there when it was renewed.
                assert left_s(gateway) > 599.5 - (time.monotonic() - began)
            traffic.wait_for(60)
            assert set(traffic.roles) == {Role.CANARY, Role.BASELINE, Role.CHAMPION}
            tried(truth, gateway, leased(trained, 3, epoch=3))
            truth.dies()
            # It reaches its gateway, but not the ledger: it would not hear of a decision to end the canary.
            until(lambda: "ledger" in (follower.step().problem or "") and told(gateway)["canary"] is None)
            traffic.wait_for(60)
        assert set(traffic.statuses) == {200}
        assert Counter(Callers(gateway).ask(KEYS[:40]).values()) == {Role.CHAMPION: 40}
        assert "nobody could have ended the canary" in told(gateway)["problems"][0]
        with pytest.raises(GatewayRefused, match="ended at gateway east by itself"):
            asked_about(gateway, epoch=3)

        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait(PATIENCE_S)
    with replica(tmp_path / "g", "east", trained) as again:
        until(lambda: again.role() is Role.CHAMPION)
        assert Counter(Callers(again).ask(KEYS[:40]).values()) == {Role.CHAMPION: 40}
        truth.returns()
        follower = truth.follower(again)
        until(lambda: follower.step().problem is None and told(again)["epoch"] == 4 and again.status().lapse is None)
        assert told(again)["problems"] == []
    (entry,) = truth.deployments.ledger.entries(MODEL, [EntryKind.CANARY_LAPSED])
    assert (entry.actor, entry.facts["epoch"], entry.facts["share"]) == ("gateway east", 3, 0.6)
    served = truth.deployments.history(MODEL)[-1]
    assert (served.deployment.change, served.deployment.champion.version) == (Change.CANARY_ENDED, 1)
    assert (served.actor, served.run) == ("gateway east", "run1")
    assert truth.deployments.ledger.verify().ok


def asked_about(gateway: Running, epoch: int = 2) -> None:
    since = "2024-01-01T00:00:00+00:00"
    query = CanaryQuery.model_validate(
        {"champion_version": 1, "canary_version": 2, "since": since, "epoch": epoch, "block_s": 60}
    )
    gateway.client.canary(MODEL, query, PATIENCE_S)


def test_a_restart_within_the_lease_adds_nothing_to_it_and_one_after_it_finds_it_over(
    tmp_path: Path, trained: Trained
) -> None:
    home = tmp_path / "g"
    with replica(home, "east", trained) as gateway:
        gateway.serve(order_of(trained, 1, 1))
        gateway.serve(leased(trained, 600))
        before, at = left_s(gateway), time.monotonic()
    with replica(home, "east", trained) as gateway:
        until(lambda: gateway.role() is Role.CHAMPION)
        until(lambda: Role.CANARY in Callers(gateway).ask(KEYS[:40]).values())
        began = time.monotonic()
        assert left_s(gateway) <= before - (began - at) + 0.1
        gateway.serve(leased(trained, 1, epoch=3))
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait(PATIENCE_S)
    time.sleep(1)
    with replica(home, "east", trained) as gateway:
        until(lambda: gateway.role() is Role.CHAMPION and told(gateway)["canary"] is None)
        assert Counter(Callers(gateway).ask(KEYS[:40]).values()) == {Role.CHAMPION: 40}
        assert gateway.status().lapse is not None
