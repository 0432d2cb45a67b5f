"""The gateway's public HTTP side: statuses, error shapes, headers, limits; scoring processes are faked."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.fake_processes import MODEL, order, until
from tests.unit.gateway.gateway_visit import INFER, JSON, SCORE, TOKEN, Visit, visit
from understudy.contract.serving import (
    Acknowledgement,
    ServingOrder,
)
from understudy.contract.words import Change
from understudy.gateway.record_store import RecordStore


def test_an_answer_names_its_request_and_who_gave_it(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        told = Acknowledgement.model_validate_json((await here.serve(3, champion=2)).content)
        assert (told.gateway, told.epoch, told.version) == ("g", 3, 2)
        answers = [await here.score(), await here.client.post(INFER, content=b"{}")]
        assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"2"), (200, b"2")]
        for answer in answers:
            assert answer.headers["content-type"] == "application/json"
            named = [answer.headers[f"x-understudy-{name}"] for name in ("version", "epoch", "role")]
            assert named == ["2", "3", "champion"]
        names = [answer.headers["x-understudy-request-id"] for answer in answers]
        assert names == sorted(set(names))

    visit(tmp_path, act)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "Application/JSON"}, 200),
        ({"content-type": "text/csv"}, 200),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json; profile=x"}, 415),
        ({"content-type": "application/xml"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
    ],
)
def test_the_content_type_is_judged_as_mlflow_judges_it(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        answer = await here.client.post(SCORE, content=b"{}", headers=headers)
        assert answer.status_code == status
        if status != 200:
            assert set(answer.json()) == {"error_code", "message"}

    visit(tmp_path, act)


def test_refusals_have_the_shape_of_their_protocol(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        large = b"x" * 5000
        asked = [
            (404, "POST", "/models/nobody/invocations", b"{}", JSON),
            (404, "POST", "/v2/models/nobody/infer", b"{}", JSON),
            (404, "GET", "/v2/models/nobody", b"", {}),
            (404, "GET", "/models/nobody/ping", b"", {}),
            (404, "GET", "/nowhere", b"", {}),
            (405, "GET", SCORE, b"", {}),
            (405, "GET", INFER, b"", {}),
            (405, "POST", f"/models/{MODEL}/ping", b"", {}),
            (413, "POST", SCORE, large, JSON),
            (413, "POST", INFER, large, JSON),
            (415, "POST", INFER, b"{}", {"content-type": "application/octet-stream"}),
            (400, "POST", f"/models/{MODEL}/labels", b"[]", JSON),
        ]
        for status, method, path, body, headers in asked:
            answer = await here.client.request(method, path, content=body, headers=headers)
            assert (answer.status_code, path) == (status, path)
            shape = {"error"} if path.startswith("/v2") else {"error_code", "message"}
            assert set(answer.json()) == shape

    visit(tmp_path, act)


def test_a_body_in_parts_is_put_together_and_one_without_end_is_refused(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)

        async def parts(count: int) -> Any:
            for _ in range(count):
                yield b"x" * 1000

        assert (await here.client.post(SCORE, content=parts(3), headers=JSON)).status_code == 200
        assert here.nursery.of(1).frames[-1] == [b"x" * 3000]
        assert (await here.client.post(SCORE, content=parts(100), headers=JSON)).status_code == 413

    visit(tmp_path, act)


def test_large_requests_are_taken_as_long_as_there_is_memory_for_them(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        worker = here.nursery.of(1)
        worker.is_held = True
        first = asyncio.create_task(here.score(b"x" * 80_000))
        await until(lambda: bool(worker.frames))
        assert (await here.score(b"x" * 80_000)).status_code == 503
        worker.release()
        assert (await first).status_code == 200
        assert (await here.score(b"x" * 80_000)).status_code == 200
        assert (await here.score(b"x" * 200_000)).status_code == 413
        assert (await here.score(b"x" * 80_000)).status_code == 200

    visit(tmp_path, act, max_body_bytes=100_000, max_bodies_bytes=120_000)


def test_overload_says_when_to_come_again(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1, max_queue=1, max_batch=1)
        worker = here.nursery.of(1)
        worker.is_held = True
        first = asyncio.create_task(here.score())
        await until(lambda: bool(worker.frames))
        second = asyncio.create_task(here.score())
        await until(lambda: len(here.app.roster.models[MODEL].lineup.queue) == 1)
        refused = await here.score()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        worker.release()
        assert [(await task).status_code for task in (first, second)] == [200, 200]

    visit(tmp_path, act)


def test_no_answer_in_time_is_said_in_time_and_logged(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1, timeout_ms=20)
        here.nursery.of(1).is_held = True
        answer = await here.score()
        assert (answer.status_code, answer.json()["message"]) == (504, "No answer within 20 ms.")
        log = here.app.roster.models[MODEL].log
        assert log is not None
        await until(lambda: log.health.written == 1)
        here.nursery.of(1).release()

    visit(tmp_path, act)


def test_a_model_that_is_still_loaded_answers_503(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        answer = await here.score()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await here.client.get(f"/models/{MODEL}/ping")).status_code == 503
        assert (await here.client.get("/v2/health/ready")).status_code == 503
        assert (await here.client.get("/v2/health/live")).status_code == 200
        assert (await here.client.get(f"/v2/models/{MODEL}/ready")).status_code == 503
        assert (await here.client.get("/health")).json()["models"][MODEL]["problems"]

    RecordStore(tmp_path / "state" / "records", ServingOrder).save(MODEL, order(4, champion=9))
    visit(tmp_path, act)


def test_mlflow_and_v2_clients_find_what_they_ask_for(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        for path in ("ping", "health"):
            assert (await here.client.get(f"/models/{MODEL}/{path}")).content == b"\n"
        version = await here.client.get(f"/models/{MODEL}/version")
        assert version.text[0].isdigit()
        assert version.headers["x-understudy-version"] == "1"
        assert (await here.client.get("/v2")).json()["name"] == "understudy"
        told = (await here.client.get(f"/v2/models/{MODEL}")).json()
        assert (told["name"], told["versions"]) == (MODEL, ["1"])
        assert [column["name"] for column in told["inputs"]] == ["level"]
        assert (await here.client.get("/v2/health/ready")).json() == {"ready": True}

    visit(tmp_path, act)


def test_labels_are_accepted(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        named = (await here.score()).headers["x-understudy-request-id"]
        labels = {"labels": [{"request_id": named, "row": 0, "label": 1}]}
        answer = await here.client.post(f"/models/{MODEL}/labels", json=labels)
        assert (answer.status_code, answer.json()) == (200, {"accepted": 1})

    visit(tmp_path, act)


def test_a_probe_needs_the_token_and_is_never_mirrored(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        await here.serve(2, champion=1, mirror=2, change=Change.MIRROR_STARTED)
        assert (await here.score(probe="guess")).status_code == 401
        assert (await here.score(b"probed", probe=TOKEN)).status_code == 200
        assert (await here.score(b"asked")).status_code == 200
        await until(lambda: bool(here.nursery.of(2).frames))
        assert here.nursery.of(2).frames == [[b"asked"]]

    visit(tmp_path, act)
