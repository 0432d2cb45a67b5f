"""The Open Inference Protocol's version segment: a version that is warm for callers answers by its number."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from tests.unit.gateway.fake_processes import MODEL, POISON, FakeLog, Scene, order, play, until
from tests.unit.gateway.gateway_visit import Visit, visit
from understudy.contract.words import Change, Role
from understudy.gateway.errors import NoSuchVersion, Overloaded
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.mirror import Mirrored

ITEM = Item(Wire.V2_JSON, b"x")


def path(version: object, verb: str = "/infer") -> str:
    return f"/v2/models/{MODEL}/versions/{version}{verb}"


async def warm(here: Visit, *versions: int) -> None:
    model = here.app.roster.models[MODEL]
    await until(
        lambda: set(versions) <= {c.bundle.version for c in model.lineup.channels.values() if c.worker is not None}
    )


def keep_log_of(here: Visit) -> FakeLog:
    log = FakeLog()
    here.app.roster.models[MODEL].log = cast("PredictionLog", log)
    return log


def test_champion_and_standby_answer_by_their_numbers(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(3, champion=2, previous=1, mirror=1)
        await warm(here, 1, 2)
        log = keep_log_of(here)
        champion, standby = [await here.client.post(path(version), content=b"{}") for version in (2, 1)]
        for answer, told in ((champion, ["2", "3", "champion"]), (standby, ["1", "3", "asked"])):
            assert (answer.status_code, answer.content.decode()) == (200, told[0])
            assert [answer.headers[f"x-understudy-{name}"] for name in ("version", "epoch", "role")] == told
        assert [row.role for row in log.rows][:2] == [Role.CHAMPION, Role.ASKED]
        # What the champion answered is copied, what the other one was asked for is not.
        await until(lambda: len(log.rows) == 3)
        assert (log.rows[2].role, log.rows[2].request_id) == (Role.SHADOW, log.rows[0].request_id)
        described = (await here.client.get(f"/v2/models/{MODEL}")).json()
        assert described["versions"] == ["2", "1"]
        assert (await here.client.get(path(1, ""))).json() == described
        assert (await here.client.get(path(1, "/ready"))).json() == {"name": MODEL, "ready": True}

    visit(tmp_path, act)


@pytest.mark.parametrize("version", ["3", "9", "0", "-1", "x", "1.0", "", "٢", "9" * 40])
def test_another_version_is_told_so(tmp_path: Path, version: str) -> None:
    async def act(here: Visit) -> None:
        await here.serve(3, champion=2, previous=1)
        # In rehearsal, a version answers nobody.
        await here.serve(4, champion=2, previous=1, mirror=3, change=Change.MIRROR_STARTED)
        await warm(here, 1, 2, 3)
        for answer in (
            await here.client.post(path(version), content=b"{}"),
            await here.client.get(path(version, "")),
            await here.client.get(path(version, "/ready")),
        ):
            assert answer.status_code == 404
            assert answer.json()["error"].endswith(".")
        assert here.app.roster.turned_away[404] == 1

    visit(tmp_path, act)


def test_a_version_whose_process_is_gone_is_not_ready_and_no_other_answers_for_it(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(3, champion=2, previous=1)
        await warm(here, 1, 2)
        here.nursery.refused.add(2)
        here.nursery.of(2).die()
        model = here.app.roster.models[MODEL]
        next(c for c in model.lineup.channels.values() if c.bundle.version == 2).notice_death()
        await until(lambda: model.lineup.front is not None and model.lineup.front.bundle.version == 1)
        answer = await here.client.post(path(2), content=b"{}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await here.client.get(path(2, "/ready"))).status_code == 503
        assert (await here.client.get(path(2, ""))).status_code == 503
        standing_in = await here.client.post(path(1), content=b"{}")
        assert standing_in.headers["x-understudy-role"] == "standby"

    visit(tmp_path, act)


def test_a_request_whose_version_was_replaced_under_it_is_refused(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(3, champion=2, previous=1)
        await warm(here, 1, 2)
        here.nursery.of(2).is_held = True
        asked = asyncio.get_running_loop().create_task(here.client.post(path(2), content=b"{}"))
        await until(lambda: bool(here.nursery.of(2).frames))
        await here.serve(4, champion=1, change=Change.ROLLBACK)
        answer = await asked
        assert (answer.status_code, answer.json()["error"]) == (503, "Version 2 has stopped answering meanwhile.")

    visit(tmp_path, act)


def test_copies_go_before_requests_that_name_the_version(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(3, champion=2, previous=1, mirror=1, max_batch=1))
        await scene.until_ready(1, 2)
        probation, channel = scene.nursery.of(1), scene.model.lineup.channel_of(1)
        probation.is_held = True
        named = [scene.model.intake.ask_version(ITEM._replace(body=b"first"), 0, 1)]
        await until(lambda: bool(probation.frames))
        named.append(scene.model.intake.ask_version(ITEM._replace(body=b"second"), 0, 1))
        for body in (b"copy 1", b"copy 2"):
            copied = Mirrored(
                request_id="r",
                client_id=None,
                ts_ns=0,
                epoch=3,
                item=ITEM._replace(body=body),
                arrived_ns=0,
                champion_failed=False,
                batch=1,
            )
            channel.mirror(copied)
        probation.release()
        assert all([await waiting.future is not None for waiting in named])
        assert probation.frames == [[b"first"], [b"copy 1"], [b"copy 2"], [b"second"]]

    play(tmp_path, act)


def test_a_row_that_a_named_version_dies_of_fails_alone_and_never_reaches_the_champion(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(3, champion=2, previous=1))
        await scene.until_ready(1, 2)
        answered = await scene.model.intake.ask_version(ITEM._replace(body=POISON), 0, 1).future
        assert answered is not None
        assert (answered.answer.status, answered.stamp.bundle.version) == (500, 1)
        assert scene.nursery.of(2).frames == []
        assert scene.nursery.count(1) >= 2

    play(tmp_path, act)


def test_no_more_wait_for_a_named_version_than_may_wait(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(3, champion=2, previous=1, max_queue=16))
        await scene.until_ready(1, 2)
        scene.nursery.of(1).is_held = True
        first = scene.model.intake.ask_version(ITEM, 0, 1)
        await until(lambda: bool(scene.nursery.of(1).frames))
        waiting = [scene.model.intake.ask_version(ITEM, 0, 1) for _ in range(16)]
        with pytest.raises(Overloaded):
            scene.model.intake.ask_version(ITEM, 0, 1)
        with pytest.raises(NoSuchVersion):
            scene.model.intake.ask_version(ITEM, 0, 3)
        scene.nursery.of(1).release()
        assert all([await one.future is not None for one in (first, *waiting)])

    play(tmp_path, act)
