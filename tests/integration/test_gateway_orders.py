"""What can go wrong with an order: files that are not those, a gateway that dies over it, two orders at once."""

import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.real_gateway import (
    MODEL,
    PATIENCE_S,
    SERVE,
    Running,
    Traffic,
    Trained,
    bundle,
    order_of,
    running,
    until,
)
from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import ServingOrder
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, Role
from understudy.hooks.places.gateway_errors import GatewayIsAhead, GatewayRefused


def _flip_a_bit(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def _take_anothers(model: Path) -> None:
    model.write_bytes(Path(str(model).replace(f"/{MODEL}/2/", f"/{MODEL}/3/")).read_bytes())


SPOIL: tuple[Callable[[Path], None], ...] = (
    Path.unlink,
    lambda model: os.truncate(model, model.stat().st_size // 2),
    _flip_a_bit,
    _take_anothers,
)


def test_a_new_champion_with_other_files_than_were_registered_is_refused_under_load(
    served_home: Path, trained: Trained, order: Callable[..., ServingOrder]
) -> None:
    files = served_home / "bundles" / MODEL / "2"
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        with Traffic(gateway.url) as traffic:
            for spoil in SPOIL:
                spoil(next(files.rglob("*.skops")))
                with pytest.raises(GatewayRefused, match="not those that were registered"):
                    gateway.serve(order(2, 2, previous=1))
                shutil.rmtree(files)
                shutil.copytree(trained[2][0], files)
            traffic.wait_for(50)
            assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
            assert gateway.status().epoch == 1
            gateway.serve(order(2, 2, previous=1))
            traffic.wait_for(50)
        assert {answer[1] for answer in traffic.answers} == {200}
        assert traffic.answers[-1][2] == "2"


def test_a_new_champion_that_was_registered_broken_is_refused_under_load(
    served_home: Path, trained: Trained, order: Callable[..., ServingOrder]
) -> None:
    files = served_home / "bundles" / MODEL / "2"
    next(files.rglob("*.skops")).write_bytes(b"this was never a model")
    broken = bundle(2, artefact_of(files, files.parent).sha256)
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        with Traffic(gateway.url) as traffic:
            with pytest.raises(GatewayRefused, match="cannot be loaded"):
                gateway.serve(order_of({**trained, 2: (files, broken)}, 2, 2, previous=1))
            traffic.wait_for(50)
        assert {answer[1:] for answer in traffic.answers} == {(200, "1", "champion")}
        assert gateway.status().epoch == 1


# Kill the gateway itself, once, at a named point of the second order that it follows.
DEADLY = """
import os, signal
from pathlib import Path
from understudy.gateway import nursery, record_store, served_model


def die_at(owner, name, before):
    real = getattr(owner, name)

    def done(*args, **kwargs):
        is_armed = Path({armed!r}).exists()
        if is_armed and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if is_armed:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, done)


points = {{
    "loading": (nursery.Nursery, "spawn", True),
    "drafted": (record_store.os, "replace", True),
    "replaced": (record_store.os, "replace", False),
    "flipped": (served_model.ServedModel, "_flip", False),
}}
die_at(*points[{point!r}])
"""


def test_a_gateway_killed_at_any_step_of_an_order_serves_one_whole_record(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    armed = served_home / "armed"
    champion, other, epoch = 1, 2, 1
    for point, is_kept in {"loading": False, "drafted": False, "replaced": True, "flipped": True}.items():
        with running(served_home, DEADLY.format(point=point, armed=str(armed)) + SERVE) as gateway:
            if epoch == 1:
                gateway.serve(order(1, champion))
            until(lambda: gateway.role() is Role.CHAMPION)  # the one before answers while it is loaded
            assert serving(gateway) == (epoch, champion)
            armed.touch()
            # There and back again: a promotion, then a rollback.
            change = Change.PROMOTION if champion == 1 else Change.ROLLBACK
            with pytest.raises(UnderstudyError):
                gateway.serve(order(epoch + 1, other, previous=champion, change=change))
            gateway.process.wait(PATIENCE_S)
            armed.unlink()
        if is_kept:
            champion, other, epoch = other, champion, epoch + 1
    with running(served_home) as gateway:
        until(lambda: gateway.role() is Role.CHAMPION)  # the one before answers while it is loaded
        assert serving(gateway) == (epoch, champion)
        gateway.serve(order(epoch + 1, other, previous=champion))
        assert serving(gateway) == (epoch + 1, other)


def serving(gateway: Running) -> tuple[int, int]:
    headers = gateway.score().headers
    status = gateway.status()
    told = int(headers["x-understudy-epoch"]), int(headers["x-understudy-version"])
    assert told == (status.epoch, status.version)
    return told


def test_of_orders_at_once_one_wins_each_epoch_and_the_newest_stays(
    served_home: Path, order: Callable[..., ServingOrder]
) -> None:
    with running(served_home) as gateway:
        gateway.serve(order(1, 1))
        orders = [order(epoch, champion) for epoch in range(2, 8) for champion in (1, 2)]
        start = threading.Barrier(len(orders))

        def send(one: ServingOrder) -> tuple[int, int] | None:
            start.wait()
            try:
                acknowledged = gateway.client.serve(one, PATIENCE_S)
            except GatewayIsAhead:
                return None
            return acknowledged.epoch, acknowledged.version

        with Traffic(gateway.url) as traffic, ThreadPoolExecutor(len(orders)) as senders:
            won = [one for one in senders.map(send, orders) if one is not None]
        assert {answer[1] for answer in traffic.answers} == {200}
        assert len({epoch for epoch, _ in won}) == len(won)
        assert max(won)[0] == 7
        status = gateway.status()
        assert (status.epoch, status.version) == max(won)
        # A task that is repeated is told the same again.
        epoch, version = max(won)
        assert gateway.client.serve(order(epoch, version), PATIENCE_S).epoch == epoch
