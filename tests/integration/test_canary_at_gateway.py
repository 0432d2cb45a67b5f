"""A canary at real gateways: who answers whom, what that costs callers, and what the log says of it."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    ROW,
    Running,
    Trained,
    lay_out,
    order_of,
    running,
    until,
)
from understudy.contract.canary_report import CanaryQuery
from understudy.contract.canary_split import CanarySplit
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Change, MirrorLoss, Role

KEYS = [f"caller-{number}" for number in range(400)]


def canary_order(trained: Trained, epoch: int, share: float, **serving: Any) -> ServingOrder:
    """Let version 2 answer a share of the callers of version 1."""
    order = order_of(trained, epoch, 1, **serving)
    change = Change.CANARY_STARTED if epoch == 2 else Change.CANARY_STEPPED
    tried = {"change": change, "canary": trained[2][1], "canary_share": share, "champion_since": 1}
    return order.model_copy(update={"record": order.record.model_copy(update=tried)})


@contextmanager
def gateways(folder: Path, trained: Trained, *names: str) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running(lay_out(folder / name, trained), name=name)) for name in names]


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


def test_keys_stay_where_they_are_over_replicas_and_steps(tmp_path: Path, trained: Trained) -> None:
    with gateways(tmp_path, trained, "east", "west") as (east, west):
        seen = {}
        for gateway in (east, west):
            gateway.serve(order_of(trained, 1, 1))
        for epoch, share in enumerate((0.05, 0.25, 0.5, 1.0), start=2):
            for gateway in (east, west):
                gateway.serve(canary_order(trained, epoch, share))
            here, there = Callers(east).ask(KEYS), Callers(west).ask(KEYS)
            assert here == there
            split = CanarySplit(MODEL, 2, share)
            assert here == {key: split.assign(key).role for key in KEYS}
            seen[share] = {key for key, role in here.items() if role is Role.CANARY}
        assert seen[0.05] < seen[0.25] < seen[0.5] < seen[1.0] == set(KEYS)
        # Four standard deviations of a binomial count.
        for share in (0.05, 0.25, 0.5):
            assert abs(len(seen[share]) - share * len(KEYS)) < 4 * (share * (1 - share) * len(KEYS)) ** 0.5


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


def test_a_canary_that_is_killed_and_one_that_hangs_cost_no_caller_an_answer(tmp_path: Path, trained: Trained) -> None:
    since = datetime.now(timezone.utc) - timedelta(minutes=1)
    with gateways(tmp_path, trained, "east") as (gateway,):
        gateway.serve(order_of(trained, 1, 1))
        gateway.serve(canary_order(trained, 2, 0.4))
        with KeyedTraffic(gateway) as traffic:
            for harm in (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL):
                traffic.wait_for(60)
                harmed = gateway.pid_of(Role.CANARY)
                assert harmed is not None
                os.kill(harmed, harm)
                until(partial(has_another_canary, gateway, harmed))
            traffic.wait_for(60)
        assert set(traffic.statuses) == {200}
        assert set(traffic.roles) == {Role.CANARY, Role.BASELINE, Role.CHAMPION}
        query = CanaryQuery(champion_version=1, canary_version=2, since=since, epoch=2, block_s=60)
        until(lambda: logged_answers(gateway) == traffic.statuses.total())
        report = gateway.client.canary(MODEL, query, PATIENCE_S)
        answered = report.canary.tally.requests - report.canary.tally.errors
        assert answered == traffic.roles[Role.CANARY]
        assert report.baseline.tally.requests - report.baseline.tally.errors == traffic.roles[Role.BASELINE]
        assert report.canary.tally.errors == sum(report.canary.lost.values()) > 0
        assert MirrorLoss.TIMEOUT in report.canary.lost
        assert min(report.canary.squares, report.baseline.squares) > 0
        assert (report.canary.loose, report.baseline.loose) == (0, 0)
        # Callers of both sides came with the same keys again and again, so their number says little.
        assert report.canary.squares > 10 * report.canary.tally.requests


def has_another_canary(gateway: Running, than: int) -> bool:
    return gateway.pid_of(Role.CANARY) not in {None, than}


def logged_answers(gateway: Running) -> int:
    """Count the answers that callers have, as the log knows them."""
    rows = gateway.log()
    return int(rows.filter(rows["loss"].is_null())["request_id"].n_unique())
