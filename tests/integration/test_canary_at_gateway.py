"""A canary at real gateways: who answers whom, what that costs callers, and what the log says of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    ROW,
    Running,
    Trained,
    lay_out,
    order_of,
    running,
    train,
)
from understudy.contract.canary_split import CanarySplit
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Change, Role

KEYS = [f"caller-{number}" for number in range(400)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("trained"))


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
