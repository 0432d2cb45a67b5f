"""A model at a gateway: who answers, through flips, deaths and refusals."""

import asyncio
from pathlib import Path

import pytest

from tests.unit.gateway.fake_processes import MODEL, POISON, Scene, bundle, order, play, terms, until
from understudy.contract.serving import PrepareOrder
from understudy.contract.words import Change, Role
from understudy.gateway.canary_lease import KeptOrder
from understudy.gateway.errors import FilesMissing, NotServing, OrderStale, Overloaded
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.waiting import Answered
from understudy.gateway.worker import WorkerRefused

ITEM = Item(Wire.MLFLOW_JSON, b"x")


def version_of(answered: Answered | None) -> int:
    assert answered is not None
    return int(answered.answer.body)


def test_the_champion_answers_and_says_who_it_is(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        said = await scene.model.apply(order(7, champion=1))
        assert (said.gateway, said.model, said.epoch, said.version) == ("g", MODEL, 7, 1)
        answered = await scene.ask()
        assert version_of(answered) == 1
        assert answered is not None
        assert dict(answered.stamp.headers) == {
            b"x-understudy-version": b"1",
            b"x-understudy-epoch": b"7",
            b"x-understudy-role": b"champion",
        }

    play(tmp_path, act)


def test_what_waits_while_the_process_is_busy_is_scored_together(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1, max_batch=3))
        worker = scene.nursery.of(1)
        worker.is_held = True
        asks = [asyncio.create_task(scene.ask(str(n).encode())) for n in range(8)]
        await until(lambda: len(worker.frames) == 1)
        worker.release()
        await asyncio.gather(*asks)
        assert [len(frame) for frame in worker.frames] in ([1, 3, 3, 1], [3, 3, 2])
        assert [body for frame in worker.frames for body in frame] == [str(n).encode() for n in range(8)]

    play(tmp_path, act)


def test_what_is_under_way_at_a_flip_is_answered_by_the_new_version(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1, max_batch=1))
        old = scene.nursery.of(1)
        old.is_held = True
        asks = [asyncio.create_task(scene.ask()) for _ in range(3)]
        await until(lambda: len(old.frames) == 1)
        await scene.model.apply(order(2, champion=2, previous=1, max_batch=1))
        assert [version_of(answered) for answered in await asyncio.gather(*asks)] == [2, 2, 2]
        old.release()
        assert version_of(await scene.ask()) == 2

    play(tmp_path, act)


def test_an_acknowledgement_waits_for_answers_that_are_on_their_way_out(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        waiting = scene.model.intake.ask(ITEM, 0)
        answered = await waiting.future
        flip = asyncio.create_task(scene.model.apply(order(2, champion=2)))
        await until(lambda: scene.model.record is not None and scene.model.record.epoch == 2)
        assert not flip.done()
        assert answered is not None
        answered.stamp.leaving -= 1
        await flip

    play(tmp_path, act)


def test_the_previous_version_answers_while_the_champions_process_is_gone(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=2, previous=1))
        await scene.until_ready(1, 2)
        champion = scene.nursery.of(2)
        champion.is_held = True
        asks = [asyncio.create_task(scene.ask()) for _ in range(5)]
        await until(lambda: bool(champion.frames))
        again = scene.nursery.slow[2] = asyncio.Event()
        champion.die()
        answers = await asyncio.gather(*asks)
        assert [version_of(answered) for answered in answers] == [1] * 5
        assert {answered.stamp.role for answered in answers if answered} == {Role.STANDBY}
        again.set()
        await scene.until_ready(2)
        assert version_of(await scene.ask()) == 2

    play(tmp_path, act)


def test_without_a_standby_requests_wait_for_the_new_process(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        scene.nursery.of(1).is_held = True
        ask = asyncio.create_task(scene.ask())
        await until(lambda: bool(scene.nursery.of(1).frames))
        scene.nursery.of(1).die()
        assert version_of(await ask) == 1
        assert scene.nursery.count(1) == 2

    play(tmp_path, act)


def test_a_process_that_dies_idle_is_replaced(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        scene.nursery.of(1).die()
        for channel in scene.model.lineup.channels.values():
            channel.notice_death()
        await until(lambda: scene.nursery.count(1) == 2)
        assert version_of(await scene.ask()) == 1

    play(tmp_path, act)


def test_a_request_that_two_processes_die_of_is_refused_and_takes_no_other_with_it(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=2, previous=1))
        await scene.until_ready(1, 2)
        scene.nursery.of(2).is_held = True
        first = asyncio.create_task(scene.ask())
        await until(lambda: bool(scene.nursery.of(2).frames))
        asks = [asyncio.create_task(scene.ask(body)) for body in (b"a", POISON, b"b", b"c")]
        await asyncio.sleep(0)
        scene.nursery.of(2).release()
        answers = await asyncio.gather(first, *asks)
        assert [answered.answer.status for answered in answers if answered] == [200, 200, 500, 200, 200]

    play(tmp_path, act)


def test_a_hung_process_is_replaced_and_what_waits_is_answered(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=2, previous=1, timeout_ms=60_000))
        await scene.until_ready(1, 2)
        for channel in scene.model.lineup.channels.values():
            channel.patience_s = 0.05
        scene.nursery.of(2).is_held = True
        assert version_of(await scene.ask()) in {1, 2}
        await until(lambda: scene.nursery.count(2) == 2)

    play(tmp_path, act)


def test_an_older_record_and_another_of_the_same_epoch_are_refused(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(5, champion=2))
        for stale in (order(4, champion=1), order(5, champion=1)):
            with pytest.raises(OrderStale, match="epoch 5 is served"):
                await scene.model.apply(stale)
        assert version_of(await scene.ask()) == 2

    play(tmp_path, act)


def test_the_same_order_again_is_acknowledged_again(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(5, champion=2))
        assert (await scene.model.apply(order(5, champion=2))).epoch == 5
        assert scene.nursery.count(2) == 1

    play(tmp_path, act)


def test_orders_at_once_load_each_version_once_and_the_newest_wins(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        orders = [order(2, champion=2), order(3, champion=3, previous=2), order(2, champion=2), order(1, champion=1)]
        told = await asyncio.gather(*(scene.model.apply(each) for each in orders), return_exceptions=True)
        assert not isinstance(told[1], BaseException)
        assert all(isinstance(each, OrderStale) for each in told if isinstance(each, BaseException))
        assert version_of(await scene.ask()) == 3
        await scene.until_ready(2, 3)
        assert {scene.nursery.count(version) for version in (2, 3)} == {1}

    play(tmp_path, act)


def test_a_version_that_cannot_be_loaded_changes_nothing(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        scene.nursery.refused.add(2)
        with pytest.raises(WorkerRefused):
            await scene.model.apply(order(2, champion=2, previous=1))
        with pytest.raises(WorkerRefused):
            await scene.model.apply(order(2, champion=1, mirror=2, change=Change.MIRROR_STARTED))
        with pytest.raises(FilesMissing):
            await scene.model.apply(order(2, champion=9, previous=1))
        assert version_of(await scene.ask()) == 1
        assert [channel.bundle.version for channel in scene.model.lineup.channels.values()] == [1]
        assert list(scene.stores.records.models()) == [MODEL]

    play(tmp_path, act)


def test_a_previous_version_that_is_gone_stands_in_nobodys_way(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.nursery.refused.add(1)
        await scene.model.apply(order(1, champion=2, previous=1))
        assert version_of(await scene.ask()) == 2

    play(tmp_path, act)


def test_a_rollback_does_not_wait_for_the_load_of_the_version_after(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=2, previous=1))
        await scene.until_ready(1, 2)
        scene.nursery.slow[3] = asyncio.Event()
        promotion = asyncio.create_task(scene.model.apply(order(2, champion=3, previous=2)))
        await asyncio.sleep(0)
        await scene.model.apply(order(3, champion=1, change=Change.ROLLBACK))
        assert version_of(await scene.ask()) == 1
        scene.nursery.slow[3].set()
        with pytest.raises(OrderStale):
            await promotion
        await until(lambda: not scene.nursery.of(3).is_alive)
        assert version_of(await scene.ask()) == 1

    play(tmp_path, act)


def test_a_prepared_version_is_warm_when_its_record_comes(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.prepare(PrepareOrder(bundle=bundle(2), terms=terms()))
        assert version_of(await scene.ask()) == 1
        await scene.model.apply(order(2, champion=2, previous=1))
        assert scene.nursery.count(2) == 1

    play(tmp_path, act)


def test_versions_that_no_record_names_are_dropped(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(order(2, champion=2, previous=1))
        await scene.model.apply(order(3, champion=3, previous=2))
        await until(lambda: not scene.nursery.of(1).is_alive)
        assert sorted(channel.bundle.version for channel in scene.model.lineup.channels.values()) == [2, 3]

    play(tmp_path, act)


def test_other_terms_under_the_same_record_are_taken_over(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(order(1, champion=1, max_rows=5))
        assert [channel.start.max_rows for channel in scene.model.lineup.channels.values()] == [5]
        assert version_of(await scene.ask()) == 1

    play(tmp_path, act)


def test_more_requests_than_may_wait_are_refused_and_counted(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1, max_queue=2, max_batch=1))
        worker = scene.nursery.of(1)
        worker.is_held = True
        asks = [asyncio.create_task(scene.ask())]
        await until(lambda: bool(worker.frames))
        asks += [asyncio.create_task(scene.ask()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            scene.model.intake.ask(ITEM, 0)
        assert scene.model.intake.refused == 1
        worker.release()
        await asyncio.gather(*asks)

    play(tmp_path, act)


def test_requests_whose_time_ran_out_make_room(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1, max_queue=1, max_batch=1))
        scene.nursery.of(1).is_held = True
        first = asyncio.create_task(scene.ask())
        await until(lambda: bool(scene.nursery.of(1).frames))
        scene.model.intake.ask(ITEM, 0).expire()
        second = scene.model.intake.ask(ITEM, 0)
        scene.nursery.of(1).release()
        assert version_of(await second.future) == 1
        await first

    play(tmp_path, act)


def test_a_model_that_never_was_served_says_so(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(NotServing):
            scene.model.intake.ask(ITEM, 0)

    play(tmp_path, act)


def test_a_restart_serves_the_last_acknowledged_record(tmp_path: Path) -> None:
    async def before(scene: Scene) -> None:
        await scene.model.apply(order(4, champion=2, previous=1))

    async def after(scene: Scene) -> None:
        saved = scene.stores.records.read(MODEL)
        assert saved is not None
        ordered = order(4, champion=2, previous=1)
        assert (saved.record, saved.terms) == (ordered.record, ordered.terms)
        scene.model.restore(saved)
        await scene.until_ready(2)
        assert version_of(await scene.ask()) == 2

    play(tmp_path, before)
    play(tmp_path, after)


def test_a_restart_without_files_says_so_and_goes_on_when_they_arrive(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.model.restore(KeptOrder.model_validate(order(4, champion=8).model_dump()))
        await until(lambda: "files of version 8" in (scene.model.why_not_serving() or ""))
        with pytest.raises(NotServing, match="files of version 8"):
            scene.model.intake.ask(ITEM, 0)
        scene.config.bundle_dir(MODEL, 8).mkdir()
        scene.model.lineup.files_arrived(8)
        await scene.until_ready(8)
        assert version_of(await scene.ask()) == 8

    play(tmp_path, act)
