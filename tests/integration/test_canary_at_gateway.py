"""A canary at real gateways: who answers whom, what that costs callers, and what the log says of it."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from tests.integration.keyed_traffic import KEYS, Callers, KeyedTraffic, canary_order
from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    Running,
    Trained,
    lay_out,
    order_of,
    running,
    until,
)
from understudy.contract.canary_split import CanarySplit
from understudy.contract.live.canary_report import CanaryQuery
from understudy.contract.words import MirrorLoss, Role


@contextmanager
def gateways(folder: Path, trained: Trained, *names: str) -> Iterator[list[Running]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running(lay_out(folder / name, trained), name=name)) for name in names]


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
