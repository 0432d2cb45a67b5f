"""The mirror answers the same requests, and whatever happens to it happens to nobody else."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.fake_processes import Scene, bundle, order, play, until
from understudy.contract.words import Change, MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.mirror import LINGER_NS, Mirrored, MirrorQueue, is_sampled


def asked(scene: Scene, number: int = 0, version: int = 1, body: bytes = b"x") -> None:
    """Log that a version answered a request, and let it be mirrored."""
    (channel,) = [c for c in scene.model.lineup.channels.values() if c.bundle.version == version]
    answer = Answer(200, b"", 1, b"{}", 10, 1)
    row = LogRow(
        f"{number:032x}", None, 1, 2, Role.CHAMPION, channel.bundle, Item(Wire.MLFLOW_JSON, body), answer, None, 0, 0
    )
    scene.model.intake.mirror(row)


async def rehearse(scene: Scene, share: float = 1.0, **serving: int) -> None:
    await scene.model.apply(order(1, champion=1))
    started = order(2, champion=1, mirror=2, change=Change.MIRROR_STARTED, share=share, **serving)
    await scene.model.apply(started)


def test_each_mirrored_request_is_logged_once_under_its_identifier(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        for number in range(100):
            asked(scene, number)
        await until(lambda: len(scene.log.rows) == 100)
        assert {row.request_id for row in scene.log.rows} == {f"{number:032x}" for number in range(100)}
        assert {(row.role, row.bundle.version, row.loss) for row in scene.log.rows} == {(Role.SHADOW, 2, None)}
        assert await scene.ask() is not None

    play(tmp_path, act)


def test_live_requests_go_before_mirrored_ones(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=2, previous=1, mirror=1, max_batch=4))
        await scene.until_ready(1, 2)
        standby = scene.nursery.of(1)
        standby.is_held = True
        asked(scene, 0, version=2)
        await until(lambda: bool(standby.frames))
        for number in range(1, 9):
            asked(scene, number, version=2)
        scene.nursery.of(2).is_held = True
        ask = asyncio.create_task(scene.ask(b"live"))
        await until(lambda: bool(scene.nursery.of(2).frames))
        scene.nursery.slow[2] = asyncio.Event()
        scene.nursery.of(2).die()
        await until(lambda: scene.model.lineup.front is not None and scene.model.lineup.front.bundle.version == 1)
        standby.release()
        answered = await ask
        assert answered is not None
        assert answered.stamp.role is Role.STANDBY
        assert standby.frames[1] == [b"live"]
        scene.nursery.slow[2].set()

    play(tmp_path, act)


def test_what_there_is_no_room_for_is_dropped_and_logged(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene, max_queue=3)
        mirror = scene.nursery.of(2)
        mirror.is_held = True
        asked(scene, 0)
        await until(lambda: bool(mirror.frames))
        for number in range(1, 6):
            asked(scene, number)
        assert [row.loss for row in scene.log.rows] == [MirrorLoss.QUEUE_FULL] * 2
        mirror.release()
        await until(lambda: len(scene.log.rows) == 6)

    play(tmp_path, act)


def test_few_large_copies_fill_the_queue_as_many_small_ones_do(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        mirror = scene.nursery.of(2)
        mirror.is_held = True
        asked(scene, 0)
        await until(lambda: bool(mirror.frames))
        half = bytes(scene.config.max_mirror_bytes // 2)
        for number in range(1, 4):
            asked(scene, number, body=half)
        assert [row.loss for row in scene.log.rows] == [MirrorLoss.QUEUE_FULL]
        mirror.release()
        await until(lambda: len(scene.log.rows) == 4)

    play(tmp_path, act)


@pytest.mark.parametrize(("max_queue", "max_batch"), [(1000, 4), (4, 64)])
def test_copies_gather_before_each_frame_until_it_is_full_or_the_queue_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_queue: int, max_batch: int
) -> None:
    monkeypatch.setattr("understudy.gateway.mirror.LINGER_NS", 10**15)

    async def act(scene: Scene) -> None:
        await rehearse(scene, max_queue=max_queue, max_batch=max_batch)
        frames = scene.nursery.of(2).frames
        for number, scored in enumerate([0, 0, 0, 1, 2, 2, 2, 2]):
            asked(scene, number)
            for _ in range(10):
                await asyncio.sleep(0)
            assert len(frames) == scored
        # The first one has as many as the champion's had, so that their times can be compared.
        assert [len(frame) for frame in frames] == [1, 4]

    play(tmp_path, act)


def test_a_copy_that_has_waited_long_enough_waits_for_no_other() -> None:
    queue = MirrorQueue(max_count=100, max_bytes=1000)
    assert queue.pause_s(64) is None
    now = time.perf_counter_ns()
    copy = Mirrored("id", None, 1, 1, Item(Wire.MLFLOW_JSON, b"x"), now, champion_failed=False, batch=1)
    queue.put(copy._replace(arrived_ns=now + LINGER_NS))
    assert 0 < (queue.pause_s(64) or 0) <= 2 * LINGER_NS / 1e9
    queue.take_all()
    queue.put(copy._replace(arrived_ns=now - LINGER_NS))
    queue.put(copy)
    assert queue.pause_s(64) == 0


def test_a_mirror_that_dies_loses_what_it_had_and_says_so(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        mirror = scene.nursery.of(2)
        mirror.is_held = True
        asked(scene, 0)
        await until(lambda: bool(mirror.frames))
        asked(scene, 1)
        mirror.die()
        await until(lambda: len(scene.log.rows) == 2)
        assert {row.loss for row in scene.log.rows} == {MirrorLoss.DOWN}
        await scene.until_ready(2)

    play(tmp_path, act)


def test_a_hung_mirror_is_cut_off(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        for channel in scene.model.lineup.channels.values():
            channel.patience_s = 0.05
        scene.nursery.of(2).is_held = True
        asked(scene, 0)
        await until(lambda: bool(scene.log.rows))
        assert scene.log.rows[0].loss is MirrorLoss.TIMEOUT

    play(tmp_path, act)


def test_a_mirror_that_keeps_dying_is_started_later_each_time_then_left_and_the_champion_answers_on(
    tmp_path: Path,
) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        (mirror,) = [c for c in scene.model.lineup.channels.values() if c.bundle.version == 2]
        loop = asyncio.get_running_loop()
        call_later, pauses = loop.call_later, []

        def noted(delay: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
            if callback == mirror.wake:
                pauses.append(delay)
            return call_later(delay, callback, *args)

        loop.call_later = noted  # type: ignore[assignment]
        for deaths in range(1, 6):
            await scene.until_ready(2)
            scene.nursery.of(2).die()
            mirror.wake()
            await until(lambda deaths=deaths: mirror.restarts == deaths)  # type: ignore[misc]
            mirror.wake()
        await until(lambda: "failed 5 times" in (mirror.problem or ""))
        asked(scene, 0)
        assert scene.log.rows[-1].loss is MirrorLoss.DOWN
        assert scene.nursery.count(2) == 5
        # The first time at once; the fifth death is the last.
        assert pauses == [0.25, 0.5, 1.0]
        assert await scene.ask() is not None

    play(tmp_path, act)


def test_an_error_of_the_mirror_alone_is_a_loss(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        scene.nursery.of(2).error = "ValueError"
        asked(scene, 0)
        await until(lambda: bool(scene.log.rows))
        assert scene.log.rows[0].loss is MirrorLoss.FAILED
        assert scene.log.rows[0].answer is not None

    play(tmp_path, act)


def test_the_end_of_a_rehearsal_logs_what_it_still_had_and_ends_the_process(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await rehearse(scene)
        mirror = scene.nursery.of(2)
        for number in range(5):
            asked(scene, number)
        await scene.model.apply(order(3, champion=1, change=Change.MIRROR_ENDED))
        await until(lambda: not mirror.is_alive)
        assert len(scene.log.rows) == 5

    play(tmp_path, act)


def test_a_share_is_sampled_by_the_identifier() -> None:
    names = [f"{number:032x}" for number in range(10_000)]
    taken = [name for name in names if is_sampled(name, 0.25)]
    assert 2_300 < len(taken) < 2_700
    assert set(taken) <= {name for name in names if is_sampled(name, 0.5)}
    assert not any(is_sampled(name, 0.0) for name in names)
    assert all(is_sampled(name, 1.0) for name in names)


def test_a_queue_is_bounded_by_bytes_too() -> None:
    queue = MirrorQueue(max_count=100, max_bytes=10)
    copy = Mirrored("id", None, 1, 1, Item(Wire.MLFLOW_JSON, b"1234"), 0, champion_failed=False, batch=2)
    assert [queue.put(copy) for _ in range(3)] == [True, True, False]
    assert len(queue.take(64)) == 2
    assert queue.put(copy)


def test_one_in_ten_copies_is_scored_as_the_champion_scored_the_originals() -> None:
    """Their times can be compared; the rest is scored in larger frames, because fewer frames cost less."""
    queue = MirrorQueue(max_count=1000, max_bytes=1000)
    for _ in range(1000):
        queue.put(Mirrored("id", None, 1, 1, Item(Wire.MLFLOW_JSON, b"x"), 0, champion_failed=False, batch=3))
    frames = []
    while copies := queue.take(16):
        frames.append(len(copies))
    assert (frames[0], sum(frames)) == (3, 1000)
    assert 0.1 * 1000 <= sum(size for size in frames if size == 3) <= 0.15 * 1000
    assert len(frames) < 1000 / 3 / 3


def test_a_frame_is_no_larger_than_the_model_allows() -> None:
    queue = MirrorQueue(max_count=100, max_bytes=1000)
    for _ in range(9):
        queue.put(Mirrored("id", None, 1, 1, Item(Wire.MLFLOW_JSON, b"x"), 0, champion_failed=False, batch=8))
    assert [len(queue.take(4)) for _ in range(4)] == [4, 4, 1, 0]


def test_an_error_that_the_champion_shares_is_no_loss() -> None:
    copy = Mirrored("id", None, 1, 1, Item(Wire.MLFLOW_JSON, b"?"), 0, champion_failed=True, batch=1)
    answer = Answer(400, b"", 0, b"", 1, 1, "RequestUnreadable")
    assert copy.row(bundle(2), answer, None, 1000, 2000).loss is None
