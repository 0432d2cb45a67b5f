"""Rollbacks that take effect at gateways: at once where they answer, and in the record whatever they do."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway_desk import TERMS, WHO, Desk, desk_at
from understudy.contract.release import Deployment
from understudy.contract.words import Alias, Change
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict, NothingToRollBackTo, StaleBlessing
from understudy.hooks.places.gateway_errors import GatewayLagging, GatewayRefused
from understudy.hooks.registry.registry import Registry
from understudy.hooks.rollback import rollback


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("back-at-gateways")


@pytest.fixture
def desk(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with desk_at(home, tmp_path, f"m{abs(hash(request.node.name))}") as made:
        made.raise_champion(1)
        made.raise_champion(2)
        yield made


@pytest.fixture
def dead(home: Path, tmp_path: Path) -> Registry:
    (tmp_path / "dead.db").mkdir()
    return Registry(f"sqlite:///{tmp_path / 'dead.db'}", tmp_path.as_uri(), home / "bundles")


def test_it_takes_effect_everywhere(desk: Desk) -> None:
    record = desk.rollback()
    assert (record.epoch, record.champion.version) == (3, 1)
    assert desk.served() == [(1, 3), (1, 3)]
    assert desk.deployments.confirmed(desk.model) == record
    assert [ack.gateway for ack in desk.deployments.acknowledged(desk.model, 3)] == ["east", "west"]
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 1}


def test_the_registry_is_not_asked_before_the_flip(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[list[tuple[int | None, int]]] = []
    real = Registry.follow

    def follow(registry: Registry, record: Deployment) -> Any:
        served.append(desk.served())
        return real(registry, record)

    monkeypatch.setattr(Registry, "follow", follow)
    desk.rollback()
    assert served[0] == [(1, 3), (1, 3)]


def test_it_works_with_the_registry_down(desk: Desk, dead: Registry) -> None:
    record = desk.rollback(registry=dead)
    assert desk.served() == [(1, 3), (1, 3)]
    assert desk.deployments.confirmed(desk.model) == record


def test_a_dead_gateway_holds_up_no_other_and_a_retry_completes_it(desk: Desk) -> None:
    desk.west.is_down = True
    with pytest.raises(GatewayLagging, match=r"1 of 2 places do so") as lagging:
        desk.rollback(run="rollback-1", within_s=5)
    assert [late.gateway for late in lagging.value.lagging] == [desk.west.url]
    assert desk.served() == [(1, 3), (2, 2)]
    assert not desk.is_confirmed()
    assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == 1
    desk.west.is_down = False
    record = desk.rollback(run="rollback-1")
    assert (record.epoch, desk.served()) == (3, [(1, 3), (1, 3)])
    assert desk.is_confirmed()
    assert len(desk.deployments.denied(desk.model)) == 1


def test_the_others_do_not_wait_for_one_that_hangs(desk: Desk) -> None:
    desk.west.hangs = threading.Event()
    east_flipped = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(desk.rollback, run="rollback-1")
        while not under_way.done() and not east_flipped.wait(0.02):
            if desk.east.epoch(desk.model) == 3:
                east_flipped.set()
        assert east_flipped.is_set()
        assert desk.west.epoch(desk.model) == 2
        desk.west.hangs.set()
        assert under_way.result(60).epoch == 3
    assert desk.served() == [(1, 3), (1, 3)]


def test_it_ends_a_rehearsal(desk: Desk) -> None:
    desk.rehearse(desk.train(3))
    record = desk.rollback()
    assert (record.champion.version, record.mirror, record.mirror_share) == (1, None, 0.0)
    assert desk.served() == [(1, 4), (1, 4)]
    assert Alias.SHADOW not in desk.registry.aliases(desk.model)
    assert desk.end() is None


def test_a_rehearsal_that_ends_at_the_same_moment_does_not_stop_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.rehearse(desk.train(3))
    real, ended = Deployments.deploy, list[bool]()

    def end_first(deployments: Deployments, record: Deployment, *args: Any, **kwargs: Any) -> Any:
        if record.change is Change.ROLLBACK and not ended:
            ended.append(True)
            desk.end()
        return real(deployments, record, *args, **kwargs)

    monkeypatch.setattr(Deployments, "deploy", end_first)
    record = desk.rollback()
    assert (record.epoch, record.champion.version) == (5, 1)
    assert desk.served() == [(1, 5), (1, 5)]


def test_a_rehearsal_that_begins_over_the_record_takes_it_along(desk: Desk) -> None:
    challenger = desk.train(3)
    real, begun = desk.gateways.apply, list[Deployment]()

    def begin_first(order: Any, within_s: float = 60) -> Any:
        if order.record.change is Change.ROLLBACK and not begun:
            begun.append(order.record)
            desk.rehearse(challenger)
        return real(order, within_s)

    desk.gateways.apply = begin_first  # type: ignore[method-assign]
    record = desk.rollback()
    assert (record.epoch, record.champion.version, record.mirror) == (4, 1, challenger)
    assert desk.is_confirmed()


def test_another_champion_that_comes_in_between_wins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    blessing = desk.bless(desk.train(3))
    real, promoted = Deployments.deploy, list[bool]()

    def promote_first(deployments: Deployments, record: Deployment, *args: Any, **kwargs: Any) -> Any:
        if record.change is Change.ROLLBACK and not promoted:
            promoted.append(True)
            desk.promote(blessing)
        return real(deployments, record, *args, **kwargs)

    monkeypatch.setattr(Deployments, "deploy", promote_first)
    with pytest.raises(EpochConflict, match=r"version 3 serves now, since .* UTC by ann \(") as lost:
        desk.rollback()
    assert (lost.value.expected, lost.value.found) == (2, 3)
    assert desk.served() == [(3, 3), (3, 3)]
    assert desk.deployments.denied(desk.model) == {}


def test_a_retry_of_a_rollback_that_others_moved_on_from_moves_nothing(desk: Desk) -> None:
    record = desk.rollback(run="rollback-1")
    desk.raise_champion(3)
    assert desk.rollback(run="rollback-1") == record
    assert desk.served() == [(3, 4), (3, 4)]


def test_a_target_that_is_not_warm_is_loaded_before_anything_is_written(desk: Desk) -> None:
    newest = desk.raise_champion(3)
    desk.west.refuses[1] = "it needs another scikit-learn"
    with pytest.raises(GatewayRefused, match="another scikit-learn"):
        desk.rollback(1)
    assert desk.deployments.current(desk.model) == newest
    desk.west.refuses.clear()
    desk.east.is_down, desk.east.comes_back_after = True, 1
    assert desk.rollback(1).champion.version == 1
    assert 1 in desk.west.prepared


def test_a_broken_declaration_does_not_stop_it(desk: Desk) -> None:
    record = rollback(desk.deployments, desk.registry, desk.model, by=WHO, gateways=desk.gateways)
    assert desk.served() == [(1, 3), (1, 3)]
    assert desk.east.orders[desk.model].terms == TERMS
    assert desk.deployments.confirmed(desk.model) == record


def test_a_gateway_without_the_files_gets_them(desk: Desk) -> None:
    desk.west.lacks.add(1)
    target = desk.rollback().champion
    assert desk.west.uploads[1] == (target.model_sha256, ["MLmodel", "weights.bin"])
    assert desk.served() == [(1, 3), (1, 3)]


def test_files_that_are_gone_here_are_said(desk: Desk) -> None:
    desk.west.lacks.add(1)
    real = desk.gateways.apply

    def lose_and_apply(order: Any, within_s: float = 60) -> Any:
        shutil.rmtree(desk.home / "bundles" / desk.model / "1")
        return real(order, within_s)

    desk.gateways.apply = lose_and_apply  # type: ignore[method-assign]
    with pytest.raises(GatewayLagging, match="no intact copy is here"):
        desk.rollback(within_s=5)
    assert desk.served()[0] == (1, 3)


def test_two_at_once_end_in_one_record_that_all_serve(desk: Desk) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(desk.rollback, run="the-same") for _ in range(2))
        done = [future.exception(60) or future.result() for future in (one, other)]
    assert all(isinstance(ended, EpochConflict | Deployment) for ended in done)
    assert desk.served() == [(1, 3), (1, 3)]
    assert len(desk.deployments.history(desk.model)) == 3


@pytest.mark.parametrize("round_", range(4))
def test_a_rollback_a_promotion_and_a_rehearsal_at_once_leave_one_truth(desk: Desk, round_: int) -> None:
    blessing, challenger = desk.bless(desk.train(3)), desk.train(4)
    acts: list[Callable[[], object]] = [
        desk.rollback,
        lambda: desk.promote(blessing),
        lambda: desk.rehearse(challenger),
        desk.rollback,
    ]
    barrier = threading.Barrier(len(acts))

    def attempt(act: Callable[[], object]) -> str:
        barrier.wait()
        try:
            act()
        except (EpochConflict, StaleBlessing, NothingToRollBackTo) as lost:
            return type(lost).__name__
        return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        ended = list(pool.map(attempt, acts[round_:] + acts[:round_]))
    history = [served.deployment for served in desk.deployments.history(desk.model)]
    assert "done" in ended
    assert [record.epoch for record in history] == list(range(1, len(history) + 1))
    # Each move of the champion starts from the one before it: nobody took back what somebody else had replaced.
    moves = [record for record in history if record.change.moves_champion]
    rollbacks = sum(record.change is Change.ROLLBACK for record in moves)
    assert len(desk.deployments.denials(desk.model)) == rollbacks
    newest = history[-1]
    assert desk.served() == [(newest.champion.version, newest.epoch)] * 2
    assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == newest.champion.version


def test_a_registry_that_hangs_holds_up_no_flip(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr(desk.registry, "follow", lambda record: answers.wait(60) and {})
    with ThreadPoolExecutor(1) as pool:
        rolling_back = pool.submit(desk.rollback)
        until = time.monotonic() + 60
        while not desk.is_confirmed() or desk.served() != [(1, 3), (1, 3)]:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert not rolling_back.done()
        answers.set()
        assert rolling_back.result(60).champion.version == 1


def test_files_that_are_gone_everywhere_leave_everything_as_it_was(desk: Desk) -> None:
    desk.raise_champion(3)
    shutil.rmtree(desk.home / "bundles" / desk.model / "2")
    with desk.registry._mlflow.asking() as client:
        source = str(client.get_model_version(desk.model, "2").source)
    shutil.rmtree(source.removeprefix("file://"))
    with pytest.raises(NothingToRollBackTo, match=r"version 2 .* are gone.*served before: 1; name one"):
        desk.rollback()
    assert desk.served() == [(3, 3), (3, 3)]
    assert desk.rollback(1).champion.version == 1
