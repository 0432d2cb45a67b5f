"""A canary's lease: at a gateway that nobody reaches, its callers go back to the champion, and no restart helps it."""

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.gateway.canary_callers import key_of, said, tried, waiting_for
from tests.unit.gateway.fake_processes import MODEL, Scene, bundle, order, play, until
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Role
from understudy.gateway.canary_lease import KeptOrder
from understudy.gateway.errors import CanaryOver
from understudy.gateway.health import model_status

LEASE_S = 100.0


class Clock:
    """The monotonic clock, as far as leases look at it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("understudy.gateway.canary_lease.time", made)
    return made


def leased(epoch: int = 2, share: float = 0.3, **serving: int) -> ServingOrder:
    made = tried(epoch, share, **serving)
    return made.model_copy(update={"terms": made.terms.model_copy(update={"canary_lease_s": LEASE_S})})


async def begin(scene: Scene, **serving: int) -> None:
    await scene.model.apply(order(1, champion=1))
    await scene.model.apply(leased(**serving))
    await scene.until_ready(1, 2)
    assert said(await scene.ask(key=key_of(Role.CANARY))) == (Role.CANARY, 2, 2)


async def look_until_over(scene: Scene) -> None:
    scene.model.look_after_lease()
    await until(lambda: scene.model.lease.left_s is None and bool(scene.stores.records.read(MODEL)))


async def who(scene: Scene) -> Role:
    return said(await scene.ask(key=key_of(Role.CANARY)))[0]


def test_what_nobody_can_end_ends_by_itself_and_costs_no_caller_an_answer(tmp_path: Path, clock: Clock) -> None:
    async def act(scene: Scene) -> None:
        await begin(scene, max_batch=1)
        asked = await waiting_for(scene, Role.CANARY)
        clock.now_s += LEASE_S - 0.1
        scene.model.look_after_lease()
        assert scene.model.lease.left_s == pytest.approx(0.1)
        clock.now_s += 0.1
        scene.model.look_after_lease()
        assert {said(await waiting.future)[0] for waiting in asked} == {Role.CHAMPION}
        assert await who(scene) is Role.CHAMPION
        await until(lambda: [c.bundle.version for c in scene.model.lineup.channels.values()] == [1])
        (lapse,) = scene.model.lease.lapses
        assert (lapse.epoch, lapse.canary, lapse.share, lapse.gateway) == (2, bundle(2), 0.3, "g")
        status = model_status("g", scene.model)
        assert (status.epoch, status.canary, status.canary_share, status.lapse) == (2, None, 0.0, lapse)
        with pytest.raises(CanaryOver):
            scene.model.lease.refuse(2)

    play(tmp_path, act)


def test_whoever_could_end_it_renews_it_and_news_of_another_record_does_not(tmp_path: Path, clock: Clock) -> None:
    async def act(scene: Scene) -> None:
        await begin(scene)
        for is_ordered_again in (False, True):
            clock.now_s += LEASE_S - 1
            if is_ordered_again:
                await scene.model.apply(leased())
            else:
                scene.model.renew_lease(2)
            scene.model.look_after_lease()
            assert scene.model.lease.left_s == LEASE_S
            assert await who(scene) is Role.CANARY
        clock.now_s += LEASE_S - 1
        # The ledger has a newer record, which did not arrive here: what it ends must end.
        scene.model.renew_lease(3)
        clock.now_s += 1
        await look_until_over(scene)
        assert await who(scene) is Role.CHAMPION

    play(tmp_path, act)


def test_what_has_run_out_is_over_until_a_new_record_says_otherwise(tmp_path: Path, clock: Clock) -> None:
    async def act(scene: Scene) -> None:
        await begin(scene)
        clock.now_s += LEASE_S
        scene.model.renew_lease(2)  # too late, though nobody has looked yet
        await look_until_over(scene)
        for late in (scene.model.apply(leased()), scene.model.apply(leased(max_rows=7))):
            assert (await late).epoch == 2
            scene.model.renew_lease(2)
            assert await who(scene) is Role.CHAMPION
        await scene.model.apply(leased(3))
        await scene.until_ready(2)
        assert await who(scene) is Role.CANARY
        assert len(scene.model.lease.lapses) == 1
        await scene.model.lapse_reported(scene.model.lease.lapses[0])
        saved = scene.stores.records.read(MODEL)
        assert saved is not None
        assert [*scene.model.lease.lapses, *saved.lapses] == []

    play(tmp_path, act)


def test_a_restart_finds_no_more_of_a_lease_than_there_was(tmp_path: Path, clock: Clock) -> None:
    kept: list[KeptOrder] = []

    async def after(scene: Scene) -> None:
        saved = scene.stores.records.read(MODEL)
        assert saved is not None
        kept.append(saved)
        scene.model.restore(saved)
        await scene.until_ready(1, 2)

    async def at_once(scene: Scene) -> None:
        await after(scene)
        assert LEASE_S - 60 < (scene.model.lease.left_s or 0) <= LEASE_S
        assert await who(scene) is Role.CANARY

    play(tmp_path, begin)
    play(tmp_path, at_once)
    early, late = datetime.now(timezone.utc) + timedelta(days=1), datetime.now(timezone.utc) - timedelta(seconds=1)

    async def with_the_clock_set_back(scene: Scene) -> None:
        rewrite(scene, until=early)
        await after(scene)
        assert (scene.model.lease.left_s or 0) <= LEASE_S

    async def too_late(scene: Scene) -> None:
        rewrite(scene, until=late)
        await after(scene)
        await look_until_over(scene)
        assert await who(scene) is Role.CHAMPION

    async def once_more(scene: Scene) -> None:
        saved = scene.stores.records.read(MODEL)
        assert saved is not None
        scene.model.restore(saved)
        await scene.until_ready(1)
        assert await who(scene) is Role.CHAMPION
        assert (len(scene.model.lease.lapses), scene.nursery.count(2)) == (1, 0)

    for act in (with_the_clock_set_back, too_late, once_more):
        play(tmp_path, act)


def rewrite(scene: Scene, **lease: Any) -> None:
    saved = scene.stores.records.read(MODEL)
    assert saved is not None
    assert saved.lease is not None
    scene.stores.records.save(MODEL, saved.model_copy(update={"lease": saved.lease.model_copy(update=lease)}))


def test_a_canary_whose_lease_nobody_wrote_down_is_over(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.model.restore(KeptOrder(**dict(leased())))
        await scene.until_ready(1)
        await look_until_over_or_dropped(scene)
        assert await who(scene) is Role.CHAMPION

    async def look_until_over_or_dropped(scene: Scene) -> None:
        scene.model.look_after_lease()
        await until(lambda: bool(scene.model.lease.lapses))

    play(tmp_path, act)


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_canary_whose_lease_cannot_be_written_does_not_begin(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        with monkeypatch.context() as patch:
            patch.setattr(scene.stores.records, "save", full)
            with pytest.raises(OSError, match="No space left"):
                await scene.model.apply(leased())
        assert (scene.model.lease.left_s, scene.model.record) == (None, order(1, champion=1).record)
        assert await who(scene) is Role.CHAMPION
        await scene.model.apply(leased())
        await scene.until_ready(2)
        assert await who(scene) is Role.CANARY

    play(tmp_path, act)


def test_a_full_disk_keeps_no_canary_alive(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(scene: Scene) -> None:
        await begin(scene)
        monkeypatch.setattr(scene.stores.records, "save", full)
        clock.now_s += LEASE_S
        scene.model.look_after_lease()
        await until(lambda: bool(scene.model.lease.lapses))
        assert await who(scene) is Role.CHAMPION
        await until(lambda: [c.bundle.version for c in scene.model.lineup.channels.values()] == [1])

    play(tmp_path, act)


def test_renewals_reach_the_disk_before_much_of_the_lease_is_missing_there(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(scene: Scene) -> None:
        await begin(scene)
        written: list[KeptOrder] = []
        save = scene.stores.records.save

        def counted(model: str, kept: KeptOrder) -> None:
            written.append(kept)
            save(model, kept)

        monkeypatch.setattr(scene.stores.records, "save", counted)
        at = datetime.now(timezone.utc)
        monkeypatch.setattr(
            "understudy.gateway.canary_lease.datetime",
            SimpleNamespace(now=lambda _: at + timedelta(seconds=clock.now_s - 1000)),
        )
        for _ in range(100):
            clock.now_s += 1
            scene.model.renew_lease(2)
            await asyncio.sleep(0)
            await until(lambda: not scene.model.lease.is_unsaved)
        assert 2 < len(written) < 10

    play(tmp_path, act)
