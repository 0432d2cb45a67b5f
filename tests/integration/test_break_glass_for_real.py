"""Break-glass at real gateways: the ledger is dead, the gateway is killed right after it, and the ledger returns."""

import itertools
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from tests.integration.real_gateway import MODEL, PATIENCE_S, ROW, Running, Trained, until
from tests.integration.replica import Truth, is_at, replica
from understudy.contract.break_glass import BreakGlassOrder
from understudy.contract.words import Change, EntryKind

ORDER = BreakGlassOrder(actor="ann", reason="it refuses everybody", version=2)


class Callers:
    """Ask as through a load balancer: a replica that is gone costs a second attempt at the other, and no answer."""

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.versions: list[str] = []
        self.failed: list[str] = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(3)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        target = len(self.versions) + more
        until(lambda: len(self.versions) >= target or bool(self.failed))
        assert self.failed == []

    def _call(self, number: int) -> None:
        with httpx.Client(timeout=PATIENCE_S, trust_env=False) as client:
            for turn in itertools.count(number):
                if self._is_over.is_set():
                    return
                self._ask(client, turn)

    def _ask(self, client: httpx.Client, turn: int) -> None:
        for attempt in (turn, turn + 1):
            url = self.urls[attempt % len(self.urls)]
            try:
                answer = client.post(f"{url}/models/{MODEL}/invocations", json=ROW)
            except httpx.TransportError:
                continue
            if answer.status_code == 503:  # it was started anew and still loads
                continue
            if answer.status_code != 200:
                self.failed.append(answer.text)
            else:
                self.versions.append(answer.headers["x-understudy-version"])
            return
        self.failed.append("no replica answered")


def is_warm(gateway: Running) -> bool:
    return all(worker.is_ready for worker in gateway.status().workers)


def test_a_person_takes_a_version_back_with_everything_else_down(tmp_path: Path, trained: Trained) -> None:
    truth = Truth(tmp_path, trained)
    truth.promote(1, 1, None)
    truth.promote(2, 2, 1)
    with ExitStack() as stack:
        east = stack.enter_context(replica(tmp_path / "east", "east", trained))
        west = stack.enter_context(replica(tmp_path / "west", "west", trained))
        for gateway in (east, west):
            truth.brings(gateway, 2, 2)
            until(partial(is_warm, gateway))
        with Callers([east.url, west.url]) as callers:
            callers.wait_for(20)
            truth.dies()
            ack = east.client.break_glass(MODEL, ORDER, PATIENCE_S)
            east.process.kill()
            east.process.wait(PATIENCE_S)
            assert (ack.glass.taken_back.version, ack.glass.target.version) == (2, 1)
            callers.wait_for(20)

            again = stack.enter_context(replica(tmp_path / "east", "east", trained))
            until(lambda: is_at(again, 1, 2))
            callers.urls = [again.url, west.url]
            health = httpx.get(f"{again.url}/health", timeout=PATIENCE_S, trust_env=False).json()
            assert any("break-glass" in problem for problem in health["models"][MODEL]["problems"])
            assert again.client.break_glass(MODEL, ORDER, PATIENCE_S).glass == ack.glass
            assert "ledger" in (truth.follower(again).step().problem or "")
            assert again.status().broken_glass == ack.glass
            callers.wait_for(20)

            truth.returns()
            truth.brings(again, 1, 3)
            truth.brings(west, 1, 3)
            callers.wait_for(40)
        assert callers.failed == []
        assert set(callers.versions[-12:]) == {"1"}
        reported(truth, again)
        assert again.status().broken_glass is None


def reported(truth: Truth, gateway: Running) -> None:
    """See that the ledger tells it as it was, and that the gateway has forgotten it."""
    record = truth.deployments.current(MODEL)
    assert record is not None
    assert (record.epoch, record.change, record.champion.version) == (3, Change.ROLLBACK, 1)
    assert truth.bundles[2].model_sha256 in truth.deployments.denied(MODEL)
    (entry,) = truth.deployments.ledger.entries(MODEL, [EntryKind.BROKE_GLASS])
    assert (entry.actor, entry.facts["gateway"]) == ("ann", "east")
    assert list((gateway.home / "gateway" / "break-glass").glob("*.json")) == []
