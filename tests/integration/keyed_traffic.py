"""Callers with keys, and a canary to answer some of them."""

import threading
from collections import Counter
from typing import Any

import httpx

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    ROW,
    Running,
    Trained,
    order_of,
    until,
)
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Change, Role

KEYS = [f"caller-{number}" for number in range(400)]


def canary_order(trained: Trained, epoch: int, share: float, **serving: Any) -> ServingOrder:
    """Let version 2 answer a share of the callers of version 1."""
    order = order_of(trained, epoch, 1, **serving)
    change = Change.CANARY_STARTED if epoch == 2 else Change.CANARY_STEPPED
    tried = {"change": change, "canary": trained[2][1], "canary_share": share, "champion_since": 1}
    return order.model_copy(update={"record": order.record.model_copy(update=tried)})


class Callers:
    """Ask with keys, and remember who answered each."""

    def __init__(self, gateway: Running) -> None:
        self._url = f"{gateway.url}/models/{MODEL}/invocations"
        self.statuses: Counter[int] = Counter()

    def ask(self, keys: list[str]) -> dict[str, Role]:
        """Say as what the version answered that answered each."""
        roles = {}
        with httpx.Client(timeout=PATIENCE_S) as client:
            for key in keys:
                answer = client.post(self._url, json=ROW, headers={"X-Understudy-Key": key})
                self.statuses[answer.status_code] += 1
                roles[key] = Role(answer.headers["x-understudy-role"])
        return roles


class KeyedTraffic:
    """Callers who ask with keys, again and again."""

    def __init__(self, gateway: Running) -> None:
        self.callers = [Callers(gateway) for _ in range(3)]
        self.roles: Counter[Role] = Counter()
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(caller,)) for caller in self.callers]

    def __enter__(self) -> "KeyedTraffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    @property
    def statuses(self) -> Counter[int]:
        return sum((caller.statuses for caller in self.callers), Counter())

    def wait_for(self, more: int) -> None:
        target = self.statuses.total() + more
        until(lambda: self.statuses.total() >= target)

    def _ask(self, caller: Callers) -> None:
        while not self._enough.is_set():
            self.roles.update(caller.ask(KEYS[:40]).values())
