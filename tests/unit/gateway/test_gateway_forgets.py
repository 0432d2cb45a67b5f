"""A gateway that is told to forget a model: no process, no record, and with `purge` no file of it is left."""

import asyncio
from pathlib import Path

import pytest

from tests.unit.gateway.fake_processes import MODEL, Scene, order, play, until
from tests.unit.gateway.gateway_visit import ADMIN, Visit, visit
from understudy.gateway.errors import NotServing

PATH = f"/admin/models/{MODEL}"


def log_of(here: Visit) -> Path:
    return here.folder / "state" / "log" / MODEL


def record_of(here: Visit) -> Path:
    return here.folder / "state" / "records" / f"{MODEL}.json"


@pytest.mark.parametrize("purge", [False, True])
def test_what_is_forgotten_ends_and_its_files_stay_unless_they_are_purged(tmp_path: Path, purge: bool) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        await here.serve(2, champion=2, previous=1, mirror=1)
        assert (await here.score()).status_code == 200
        assert record_of(here).is_file()
        answer = await here.client.delete(PATH, params={"purge": str(purge).lower()}, headers=ADMIN)
        assert (answer.status_code, answer.json()) == (200, {})
        assert not any(worker.is_alive for worker in here.nursery.workers)
        assert not record_of(here).exists()
        assert log_of(here).exists() is not purge
        assert (tmp_path / "bundles" / MODEL).exists() is not purge
        assert (await here.score()).status_code == 404
        status = (await here.client.get(PATH, headers=ADMIN)).json()
        assert (status["epoch"], status["workers"]) == (0, [])

    visit(tmp_path, act)


def test_to_forget_again_or_what_was_never_there_is_harmless(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        for _ in range(2):
            assert (await here.client.delete(PATH, params={"purge": "true"}, headers=ADMIN)).status_code == 200

    visit(tmp_path, act)


def test_a_forgotten_model_is_served_again_when_somebody_orders_it_even_at_an_older_epoch(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(5, champion=1)
        await here.client.delete(PATH, headers=ADMIN)
        assert (await here.serve(2, champion=2)).status_code == 200
        assert (await here.score()).headers["x-understudy-version"] == "2"

    visit(tmp_path, act)


def test_only_those_who_hold_the_token_may_ask_for_it_and_by_a_models_name(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        assert (await here.client.delete(PATH)).status_code == 401
        assert (await here.client.delete("/admin/models/..%2Fetc", headers=ADMIN)).status_code in {400, 404}
        assert (await here.client.delete("/admin/models/.hidden", headers=ADMIN)).status_code == 400
        assert (await here.score()).status_code == 200

    visit(tmp_path, act)


def test_an_order_whose_version_is_still_being_loaded_does_not_bring_a_forgotten_model_back(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.model.apply(order(1, champion=1))
        scene.nursery.slow[2] = asyncio.Event()
        late = asyncio.create_task(scene.model.apply(order(2, champion=2)))
        await until(lambda: any(channel.bundle.version == 2 for channel in scene.model.lineup.channels.values()))
        forgetting = asyncio.create_task(scene.model.forget())
        await until(lambda: not (scene.config.records_dir / f"{MODEL}.json").exists())
        scene.nursery.slow[2].set()
        await forgetting
        with pytest.raises(NotServing):
            await late
        assert not (scene.config.records_dir / f"{MODEL}.json").exists()
        assert not any(worker.is_alive for worker in scene.nursery.workers)

    play(tmp_path, act)
