"""The gateway's admin API: orders, uploads, what it says of itself; scoring processes are faked."""

import io
import tarfile
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.unit.gateway.fake_processes import MODEL, bundle, order, terms, until
from tests.unit.gateway.gateway_visit import ADMIN, TOKEN, Visit, visit
from understudy.contract.serving import (
    ModelStatus,
    PrepareOrder,
    Problem,
    TruthReport,
)
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, Confinement


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
        assert (await here.client.get("/health")).json()["models"][MODEL]["unconfined"] == []
        here.nursery.of(2).not_held = (Confinement.MEMORY, Confinement.NO_NETWORK)
        told = "version 2 (champion) is scored by a process that is not held to: a memory limit, no network"
        health = (await here.client.get("/health")).json()
        assert (health["status"], health["models"][MODEL]["unconfined"]) == ("ok", [told])
        status = await here.client.get(f"/admin/models/{MODEL}", headers=ADMIN)
        assert ModelStatus.model_validate_json(status.content).unconfined == (told,)

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
