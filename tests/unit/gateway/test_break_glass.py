"""Break-glass at one gateway: it goes back at once, and nothing brings what was taken back to callers again."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.fake_processes import MODEL, Scene, bundle, order, play, until
from understudy.contract.break_glass import BreakGlassOrder
from understudy.contract.words import Change
from understudy.gateway.errors import AnotherAnswers, NotServing, NoWayBack, TakenBack
from understudy.gateway.health import model_status


def glass_order(
    version: int | None = None, actor: str = "ann", reason: str = "it refuses everybody"
) -> BreakGlassOrder:
    return BreakGlassOrder(actor=actor, reason=reason, version=version)


async def answering(scene: Scene) -> int:
    answered = await scene.ask()
    assert answered is not None
    return answered.stamp.bundle.version


async def serve(scene: Scene, *versions: int, **given: Any) -> None:
    await scene.model.apply(order(**given))
    await scene.until_ready(*versions)


def test_the_warm_previous_champion_answers_at_once(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, 3, epoch=4, champion=2, previous=1, mirror=3)
        assert await answering(scene) == 2
        done = await scene.model.break_glass(glass_order(version=2))
        assert (done.glass.taken_back, done.glass.target, done.glass.epoch) == (bundle(2), bundle(1), 4)
        assert (done.glass.actor, done.glass.gateway, done.is_repeated) == ("ann", "g", False)
        assert await answering(scene) == 1
        await until(lambda: [c.bundle.version for c in scene.model.lineup.channels.values()] == [1])
        status = model_status("g", scene.model)
        assert (status.version, status.epoch, status.broken_glass) == (1, 4, done.glass)

    play(tmp_path, act)


def test_requests_under_way_are_answered_by_the_version_that_takes_over(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=1, champion=2, previous=1)
        scene.nursery.of(2).is_held = True
        asked = [asyncio.get_running_loop().create_task(answering(scene)) for _ in range(3)]
        await until(lambda: bool(scene.nursery.of(2).frames))
        await scene.model.break_glass(glass_order())
        assert [await task for task in asked] == [1, 1, 1]

    play(tmp_path, act)


def test_again_changes_nothing_and_names_who_was_first(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=1, champion=2, previous=1)
        first = await scene.model.break_glass(glass_order())
        for again in (glass_order(actor="bob"), glass_order(version=2, actor="bob")):
            done = await scene.model.break_glass(again)
            assert (done.glass, done.is_repeated) == (first.glass, True)
        assert await answering(scene) == 1

    play(tmp_path, act)


def test_two_people_at_once_take_one_version_back(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=1, champion=2, previous=1)
        loop = asyncio.get_running_loop()
        both = [loop.create_task(scene.model.break_glass(glass_order(version=2, actor=who))) for who in ("ann", "bob")]
        done = [await task for task in both]
        assert done[0].glass == done[1].glass
        assert sorted(one.is_repeated for one in done) == [False, True]

    play(tmp_path, act)


def test_another_version_than_the_one_that_is_meant_stays(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=1, champion=2, previous=1)
        with pytest.raises(AnotherAnswers, match="Version 2 of tides answers here, not version 3"):
            await scene.model.break_glass(glass_order(version=3))
        await scene.model.break_glass(glass_order(version=2))
        with pytest.raises(NoWayBack):
            await scene.model.break_glass(glass_order(version=1))
        assert await answering(scene) == 1

    play(tmp_path, act)


def test_no_order_brings_it_back(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        served = order(4, champion=2, previous=1)
        await serve(scene, 1, 2, epoch=4, champion=2, previous=1)
        await scene.model.break_glass(glass_order())
        rehearsal = order(5, champion=2, previous=1, mirror=3, change=Change.MIRROR_STARTED)
        for bad in (served, rehearsal, order(6, champion=2), order(7, champion=2, change=Change.ROLLBACK)):
            with pytest.raises(TakenBack, match="Version 2 of tides was taken back here by break-glass"):
                await scene.model.apply(bad)
        assert await answering(scene) == 1

    play(tmp_path, act)


def test_a_restart_keeps_it(tmp_path: Path) -> None:
    async def before(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=4, champion=2, previous=1)
        await scene.model.break_glass(glass_order())

    async def after(scene: Scene) -> None:
        saved = scene.stores.records.read(MODEL)
        assert saved is not None
        scene.model.restore(saved)
        await scene.until_ready(1)
        assert await answering(scene) == 1
        assert scene.nursery.count(2) == 0
        with pytest.raises(TakenBack):
            await scene.model.apply(order(5, champion=2, previous=1))

    play(tmp_path, before)
    play(tmp_path, after)


def test_a_newer_champion_is_served_and_what_was_taken_back_does_not_stand_by_for_it(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=4, champion=2, previous=1)
        done = await scene.model.break_glass(glass_order())
        promoted = order(5, champion=3, previous=2)
        await scene.model.apply(promoted)
        assert await scene.model.apply(promoted)  # repeated, the same
        assert await answering(scene) == 3
        assert [c.bundle.version for c in scene.model.lineup.channels.values()] == [3]
        await scene.model.glass_reported(done.glass)
        assert scene.model.glasses.unreported is None
        with pytest.raises(TakenBack):
            await scene.model.apply(order(6, champion=2))
        await scene.model.apply(order(6, champion=3, previous=1))
        assert scene.stores.glasses.read(MODEL) is None

    play(tmp_path, act)


def test_it_is_forgotten_once_it_is_reported_and_the_record_has_followed(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=4, champion=2, previous=1)
        done = await scene.model.break_glass(glass_order())
        await scene.model.glass_reported(done.glass)
        await scene.model.glass_reported(done.glass)
        assert scene.model.glasses.unreported is None
        # The record still names it: forgotten now, a restart would serve it again.
        assert scene.stores.glasses.read(MODEL) is not None
        assert await answering(scene) == 1
        await scene.model.apply(order(5, champion=1, change=Change.ROLLBACK))
        assert scene.stores.glasses.read(MODEL) is None
        assert await answering(scene) == 1

    play(tmp_path, act)


def test_a_second_one_of_a_newer_champion_is_told_after_the_first(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=4, champion=2, previous=1)
        first = await scene.model.break_glass(glass_order())
        await serve(scene, 1, 3, epoch=6, champion=3, previous=1)
        second = await scene.model.break_glass(glass_order(version=3))
        assert await answering(scene) == 1
        assert scene.model.glasses.unreported == first.glass
        await scene.model.glass_reported(first.glass)
        assert scene.model.glasses.unreported == second.glass

    play(tmp_path, act)


def test_without_a_previous_champion_it_is_refused_with_what_is_left(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(NotServing):
            await scene.model.break_glass(glass_order())
        await scene.model.apply(order(1, champion=2))
        with pytest.raises(NoWayBack, match=r"names no other version .* It goes on answering\. .* 1, 3, 4, 5;"):
            await scene.model.break_glass(glass_order())
        assert await answering(scene) == 2
        assert scene.stores.glasses.read(MODEL) is None

    play(tmp_path, act)


def test_a_previous_champion_whose_files_are_gone_is_refused(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        shutil.rmtree(scene.config.bundle_dir(MODEL, 1))
        await scene.model.apply(order(1, champion=2, previous=1))
        with pytest.raises(NoWayBack, match=r"version 1, which served before it, is not warm: .*files of version 1"):
            await scene.model.break_glass(glass_order())
        assert await answering(scene) == 2

    play(tmp_path, act)


def test_a_previous_champion_that_died_a_moment_ago_is_waited_for(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=1, champion=2, previous=1)
        scene.nursery.of(1).die()
        assert (await scene.model.break_glass(glass_order())).glass.target == bundle(1)
        assert scene.nursery.count(1) == 2
        assert await answering(scene) == 1

    play(tmp_path, act)


def test_what_cannot_be_written_down_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def act(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=1, champion=2, previous=1)
        monkeypatch.setattr(scene.stores.glasses, "save", full)
        with pytest.raises(OSError, match="No space left"):
            await scene.model.break_glass(glass_order())
        assert await answering(scene) == 2
        assert scene.model.glasses.unreported is None

    play(tmp_path, act)


def test_a_file_that_cannot_be_read_serves_nothing_rather_than_what_was_taken_back(tmp_path: Path) -> None:
    async def before(scene: Scene) -> None:
        await serve(scene, 1, 2, epoch=4, champion=2, previous=1)
        await scene.model.break_glass(glass_order())

    async def after(scene: Scene) -> None:
        saved = scene.stores.records.read(MODEL)
        assert saved is not None
        scene.model.restore(saved)
        assert "break-glass" in (scene.model.why_not_serving() or "")
        assert not scene.model.lineup.channels

    play(tmp_path, before)
    (tmp_path / "state" / "break-glass" / f"{MODEL}.json").write_bytes(b"{")
    play(tmp_path, after)
