"""The gateway's HTTP side: statuses, error shapes, headers, limits; scoring processes are faked."""

import asyncio
import io
import tarfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.unit.gateway.fake_processes import MODEL, FakeNursery, bundle, nursery, order, terms, until
from understudy.contract.serving import (
    Acknowledgement,
    ModelStatus,
    PrepareOrder,
    Problem,
    ServingOrder,
    TruthReport,
)
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, Confinement
from understudy.gateway.app import GatewayApp
from understudy.gateway.config import GatewayConfig
from understudy.gateway.record_store import RecordStore

TOKEN = "open sesame"
JSON = {"content-type": "application/json"}
ADMIN = {"authorization": f"Bearer {TOKEN}"}
SCORE = f"/models/{MODEL}/invocations"
INFER = f"/v2/models/{MODEL}/infer"


class Visit:
    """A gateway and a client of it."""

    def __init__(self, folder: Path, client: httpx.AsyncClient, app: GatewayApp, fakes: FakeNursery) -> None:
        self.folder, self.client, self.app, self.nursery = folder, client, app, fakes

    async def serve(self, epoch: int, champion: int, **given: Any) -> httpx.Response:
        """Send an order."""
        body = order(epoch, champion, **given).model_dump_json()
        return await self.client.put(f"/admin/models/{MODEL}/record", content=body, headers=ADMIN)

    async def score(self, body: bytes = b"{}", probe: str | None = None) -> httpx.Response:
        """Send a request to score."""
        headers = JSON if probe is None else {**JSON, "x-understudy-probe": probe}
        return await self.client.post(SCORE, content=body, headers=headers)


def visit(folder: Path, act: Callable[[Visit], Awaitable[None]], **given: Any) -> None:
    """Open a gateway, act, close it."""

    async def run() -> None:
        config = GatewayConfig(
            **{
                "name": "g",
                "state_dir": folder / "state",
                "bundles_dir": folder / "bundles",
                "token": SecretStr(TOKEN),
                "max_body_bytes": 4096,
                **given,
            }
        )
        for version in range(1, 4):
            config.bundle_dir(MODEL, version).mkdir(parents=True, exist_ok=True)
        fakes = FakeNursery()
        app = GatewayApp(config, nursery(fakes))
        await app.roster.open()
        try:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                await act(Visit(folder, client, app, fakes))
        finally:
            await app.roster.close()

    asyncio.run(run())


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


def test_a_record_that_cannot_be_read_is_a_problem_until_the_next_order(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        (answer,) = [await here.score()]
        assert answer.status_code == 503
        assert "cannot be read" in (await here.client.get("/health")).json()["models"][MODEL]["problems"][0]
        assert (await here.serve(1, champion=1)).status_code == 200
        assert (await here.score()).status_code == 200

    records = tmp_path / "state" / "records"
    records.mkdir(parents=True)
    (records / f"{MODEL}.json").write_bytes(b'{"record": ')
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


@pytest.mark.parametrize("path", ["/admin/truth", f"/admin/models/{MODEL}/record", f"/admin/models/{MODEL}/files/1"])
def test_the_admin_api_needs_the_token(tmp_path: Path, path: str) -> None:
    async def act(here: Visit) -> None:
        for headers in ({}, {"authorization": "Bearer guess"}, {"authorization": TOKEN}):
            answer = await here.client.put(path, content=b"{}", headers=headers)
            assert answer.status_code == 401
            assert TOKEN not in Problem.model_validate_json(answer.content).problem

    async def closed(here: Visit) -> None:
        answer = await here.client.put(path, content=b"{}", headers={"authorization": "Bearer "})
        assert answer.status_code == 403

    visit(tmp_path, act)
    visit(tmp_path, closed, token=None)


def test_orders_that_cannot_be_followed_say_why(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(5, champion=1)
        assert (await here.serve(4, champion=2)).status_code == 409
        missing = await here.serve(6, champion=9)
        assert (missing.status_code, Problem.model_validate_json(missing.content).missing) == (424, 9)
        here.nursery.refused.add(3)
        refused = await here.serve(6, champion=3)
        assert refused.status_code == 422
        assert "digest" in Problem.model_validate_json(refused.content).problem
        path = f"/admin/models/{MODEL}/record"
        for body in (b"", b"[]", b'{"record": 1}', b"\xff", order(9, 1).model_dump_json().encode()[:-1]):
            answer = await here.client.put(path, content=body, headers=ADMIN)
            assert (answer.status_code, "problem" in answer.json()) == (400, True)
        other = await here.client.put(
            "/admin/models/other/record", content=order(9, 1).model_dump_json(), headers=ADMIN
        )
        assert other.status_code == 400
        assert (await here.score()).content == b"1"

    visit(tmp_path, act)


def test_a_repeated_order_leaves_a_failed_mirror_alone(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        assert (await here.serve(2, champion=1, mirror=2, change=Change.MIRROR_STARTED)).status_code == 200
        here.nursery.refused.add(2)
        here.nursery.of(2).die()
        assert (await here.serve(2, champion=1, mirror=2, change=Change.MIRROR_STARTED)).status_code == 200

    visit(tmp_path, act)


def test_the_status_lists_what_is_kept_warm(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        path = f"/admin/models/{MODEL}"
        empty = ModelStatus.model_validate_json((await here.client.get(path, headers=ADMIN)).content)
        assert (empty.epoch, empty.version, empty.workers) == (0, None, ())
        await here.serve(1, champion=1)
        await here.serve(2, champion=2, previous=1, mirror=1)
        prepare = PrepareOrder(bundle=bundle(3), terms=terms()).model_dump_json()
        answer = await here.client.post(f"{path}/prepare", content=prepare, headers=ADMIN)
        assert answer.status_code == 200
        status = ModelStatus.model_validate_json((await here.client.get(path, headers=ADMIN)).content)
        assert (status.epoch, status.version) == (2, 2)
        kept = {(worker.version, worker.role.value, worker.is_ready) for worker in status.workers}
        assert kept == {(1, "shadow", True), (2, "champion", True), (3, "standby", True)}

    visit(tmp_path, act)


def test_health_is_degraded_until_the_follower_reports_and_when_it_has_a_problem(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        assert (await here.client.get("/health")).json()["status"] == "degraded"
        for said, status in ((None, "ok"), ("the ledger is down", "degraded")):
            report = TruthReport(at=datetime.now(timezone.utc), problem=said).model_dump_json()
            assert (await here.client.put("/admin/truth", content=report, headers=ADMIN)).status_code == 200
            health = (await here.client.get("/health")).json()
            assert (health["status"], health["truth"]["problem"]) == (status, said)
        assert health["models"][MODEL]["version"] == 1

    visit(tmp_path, act)


def test_what_a_process_is_not_held_to_is_said_for_each_version_and_is_no_fault(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=2, previous=1)
        report = TruthReport(at=datetime.now(timezone.utc), problem=None).model_dump_json()
        await here.client.put("/admin/truth", content=report, headers=ADMIN)
        await until(lambda: here.nursery.count(1) == 1)
        assert (await here.client.get("/health")).json()["models"][MODEL]["too_free"] == []
        here.nursery.of(2).not_held = (Confinement.MEMORY, Confinement.NO_NETWORK)
        told = "version 2 (champion) is scored by a process that is not held to: a memory limit, no network"
        health = (await here.client.get("/health")).json()
        assert (health["status"], health["models"][MODEL]["too_free"]) == ("ok", [told])
        status = await here.client.get(f"/admin/models/{MODEL}", headers=ADMIN)
        assert ModelStatus.model_validate_json(status.content).too_free == (told,)

    visit(tmp_path, act)


def packed(files: dict[str, bytes], link: str | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link is not None:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
    return stream.getvalue()


def digest(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return artefact_of(folder, folder.parent).sha256


def test_uploaded_files_are_put_in_place_once_their_digest_is_right(tmp_path: Path) -> None:
    files = {"MLmodel": b"flavors", "code/prepare.py": b"pass"}
    right = digest(tmp_path / "trained", files)

    async def act(here: Visit) -> None:
        path = f"/admin/models/{MODEL}/files/7"
        assert (await here.serve(1, champion=7)).status_code == 424
        for sha256, status in (("0" * 64, 422), ("", 400), (right, 200), (right, 200)):
            headers = {**ADMIN, "x-artefact-sha256": sha256}
            answer = await here.client.put(path, content=packed(files), headers=headers)
            assert answer.status_code == status
        folder = here.app.roster.config.bundle_dir(MODEL, 7)
        assert (folder / "code" / "prepare.py").read_bytes() == b"pass"
        assert sorted(path.name for path in folder.parent.iterdir()) == ["1", "2", "3", "7"]
        assert (await here.serve(1, champion=7)).status_code == 200

    visit(tmp_path, act)


@pytest.mark.parametrize(
    "upload",
    [
        b"",
        b"no tar at all" * 100,
        packed({"../outside": b"x"}),
        packed({"/tmp/outside": b"x"}),
        packed({"a": b"x"}, link="/etc/passwd"),
        packed({"a": b"x" * 3000})[:1500],
        packed({"a": b"1"}) + packed({"a": b"2"}),
    ],
)
def test_an_upload_that_is_no_versions_files_leaves_nothing_behind(tmp_path: Path, upload: bytes) -> None:
    async def act(here: Visit) -> None:
        headers = {**ADMIN, "x-artefact-sha256": "a" * 64}
        answer = await here.client.put(f"/admin/models/{MODEL}/files/7", content=upload, headers=headers)
        assert answer.status_code == 422
        assert "refused" in Problem.model_validate_json(answer.content).problem
        assert sorted(path.name for path in here.app.roster.config.bundle_dir(MODEL, 7).parent.iterdir()) == list("123")

    visit(tmp_path, act)


def test_an_upload_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        headers = {**ADMIN, "x-artefact-sha256": "a" * 64}
        upload = packed({"a": b"x" * 50_000})
        answer = await here.client.put(f"/admin/models/{MODEL}/files/7", content=upload, headers=headers)
        assert answer.status_code == 413

    visit(tmp_path, act, max_upload_bytes=20_000)
