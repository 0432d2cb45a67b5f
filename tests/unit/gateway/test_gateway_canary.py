"""A canary at a gateway: who answers which key, and that the champion makes good whatever it cannot answer."""

import asyncio
from pathlib import Path

from tests.unit.gateway.canary_callers import ITEM, key_of, said, tried, waiting_for
from tests.unit.gateway.fake_processes import Scene, order, play, until
from understudy.contract.words import Change, MirrorLoss, Role
from understudy.gateway.waiting import Waiting


def test_each_key_is_answered_by_its_side_and_the_champion_answers_the_rest(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried())
        assert said(await scene.ask(key=key_of(Role.CANARY))) == (Role.CANARY, 2, 2)
        assert said(await scene.ask(key=key_of(Role.BASELINE))) == (Role.BASELINE, 2, 1)
        assert said(await scene.ask(key=key_of(Role.CHAMPION))) == (Role.CHAMPION, 2, 1)
        assert said(await scene.ask()) == (Role.CHAMPION, 2, 1)
        assert {len(worker.frames) for worker in (scene.nursery.of(2), scene.nursery.copy())} == {1}

    play(tmp_path, act)


def test_a_step_keeps_the_processes_and_the_last_one_needs_no_baseline(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried())
        before = scene.nursery.of(2), scene.nursery.copy()
        await scene.model.apply(tried(3, 0.5))
        assert (scene.nursery.of(2), scene.nursery.copy()) == before
        await scene.model.apply(tried(4, 1.0))
        await until(lambda: len(scene.model.lineup.channels) == 2 and not before[1].is_alive)
        assert said(await scene.ask(key="anybody")) == (Role.CANARY, 4, 2)

    play(tmp_path, act)


def test_a_canary_that_cannot_be_loaded_refuses_the_order_and_nothing_changes(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        scene.nursery.refused.add(2)
        refused = await asyncio.gather(scene.model.apply(tried()), return_exceptions=True)
        assert isinstance(refused[0], Exception)
        assert said(await scene.ask(key=key_of(Role.CANARY))) == (Role.CHAMPION, 1, 1)

    play(tmp_path, act)


def test_an_order_that_is_repeated_waits_for_no_side(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried())
        scene.nursery.refused.add(2)
        scene.nursery.of(2).die()
        for channel in scene.model.lineup.channels.values():
            channel.notice_death()
        await until(lambda: any(channel.was_refused for channel in scene.model.lineup.channels.values()))
        assert (await scene.model.apply(tried())).epoch == 2

    play(tmp_path, act)


def losses(asked: list[Waiting]) -> set[MirrorLoss | None]:
    return {None if waiting.lost is None else waiting.lost.loss for waiting in asked}


def test_what_a_dead_side_held_the_champion_answers_and_it_counts_against_that_side(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried(max_batch=1))
        for role, worker in ((Role.CANARY, scene.nursery.of(2)), (Role.BASELINE, scene.nursery.copy())):
            asked = await waiting_for(scene, role)
            worker.die()
            answers = [said(await waiting.future) for waiting in asked]
            assert answers == [(Role.CHAMPION, 2, 1)] * 3
            assert losses(asked) == {MirrorLoss.DOWN}
            assert {waiting.lost.stamp.role for waiting in asked if waiting.lost} == {role}

    play(tmp_path, act)


def test_while_a_side_has_no_process_its_callers_do_not_wait_for_it(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried())
        scene.nursery.slow[2] = asyncio.Event()
        scene.nursery.of(2).die()
        for channel in scene.model.lineup.channels.values():
            channel.notice_death()
        await until(lambda: any(channel.worker is None for channel in scene.model.lineup.channels.values()))
        waiting = scene.model.intake.ask(ITEM, 0, key_of(Role.CANARY))
        assert said(await waiting.future) == (Role.CHAMPION, 2, 1)
        assert losses([waiting]) == {MirrorLoss.DOWN}
        scene.nursery.slow[2].set()
        await scene.until_ready(2)
        assert said(await scene.ask(key=key_of(Role.CANARY))) == (Role.CANARY, 2, 2)

    play(tmp_path, act)


def test_a_side_that_hangs_keeps_nobody_longer_than_half_of_his_time(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried(timeout_ms=200, max_batch=1))
        asked = await waiting_for(scene, Role.CANARY)
        hung = scene.nursery.of(2)
        assert [said(await waiting.future) for waiting in asked] == [(Role.CHAMPION, 2, 1)] * 3
        # Its process is ended with the first of them, and the others waited for that process.
        assert MirrorLoss.TIMEOUT in losses(asked) <= {MirrorLoss.TIMEOUT, MirrorLoss.DOWN}
        await until(lambda: scene.nursery.of(2) is not hung)
        assert all(waiting.timer is None for waiting in asked)

    play(tmp_path, act)


def test_what_a_side_has_no_room_for_the_champion_answers(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried(max_queue=2, max_batch=1))
        asked = await waiting_for(scene, Role.CANARY, 6)
        answered = [waiting for waiting in asked if waiting.lost is not None]
        assert losses(answered) == {MirrorLoss.QUEUE_FULL}
        assert [said(await waiting.future)[0] for waiting in answered] == [Role.CHAMPION] * len(answered)
        scene.nursery.of(2).release()
        rest = [waiting for waiting in asked if waiting.lost is None]
        assert {said(await waiting.future)[0] for waiting in rest} == {Role.CANARY}
        assert (len(answered), len(rest)) == (3, 3)

    play(tmp_path, act)


def test_an_error_of_a_side_never_reaches_the_caller(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried())
        scene.nursery.of(2).error = "ValueError"
        waiting = scene.model.intake.ask(ITEM, 0, key_of(Role.CANARY))
        assert said(await waiting.future) == (Role.CHAMPION, 2, 1)
        assert losses([waiting]) == {MirrorLoss.FAILED}
        assert waiting.lost is not None
        assert waiting.lost.answer is not None

    play(tmp_path, act)


def test_a_promotion_answers_all_that_waits_with_the_new_champion(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        await scene.model.apply(tried(max_batch=1))
        canary = scene.nursery.of(2)
        mine, theirs = await waiting_for(scene, Role.CANARY), await waiting_for(scene, Role.BASELINE)
        flip = asyncio.create_task(scene.model.apply(order(3, champion=2, previous=1, mirror=1)))
        canary.release()
        answers = [await waiting.future for waiting in [*mine, *theirs]]
        for answered in answers:
            assert answered is not None
            answered.stamp.leaving -= 1
        await flip
        assert {said(answered)[2] for answered in answers[3:]} == {2}
        assert {said(answered)[::2] for answered in answers[:3]} <= {(Role.CHAMPION, 2), (Role.CANARY, 2)}
        assert losses([*mine, *theirs]) == {None}
        assert scene.nursery.of(2) is canary
        assert said(await scene.ask(key=key_of(Role.BASELINE))) == (Role.CHAMPION, 3, 2)

    play(tmp_path, act)


def test_a_rollback_ends_it_and_answers_all_that_waits(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1, previous=3))
        await scene.model.apply(order(2, champion=1, previous=3, canary=2, share=0.3, change=Change.CANARY_STARTED))
        asked = await waiting_for(scene, Role.CANARY)
        await scene.model.apply(order(3, champion=3, change=Change.ROLLBACK))
        assert [said(await waiting.future) for waiting in asked] == [(Role.CHAMPION, 3, 3)] * 3
        assert losses(asked) == {None}
        assert not scene.model.lineup.queue
        scene.nursery.of(2).release()
        await until(lambda: len(scene.model.lineup.channels) == 1)

    play(tmp_path, act)
