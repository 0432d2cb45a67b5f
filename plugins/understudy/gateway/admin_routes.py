"""The admin API: orders, questions and files from those who hold the token."""

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.declared import MODEL_NAME
from understudy.contract.errors import UnderstudyError
from understudy.contract.live.canary_report import CanaryQuery
from understudy.contract.serving import (
    ModelStatus,
    PrepareOrder,
    RehearsalQuery,
    RowsQuery,
    ServingOrder,
    TruthReport,
    Unreported,
)
from understudy.gateway.admin_answers import problem_of, said
from understudy.gateway.errors import RequestRefused
from understudy.gateway.health import model_status
from understudy.gateway.request_body import BodyReader, Disconnected
from understudy.gateway.roster import Roster
from understudy.gateway.served_model import ServedModel
from understudy.gateway.upload import Upload

ARTEFACT = "x-artefact-sha256"
COUNTED = "x-understudy-rows"
ROWS_FILE = "rows.parquet"
PURGE = "purge"
MODEL = re.compile(MODEL_NAME)
SHA256 = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")
T = TypeVar("T", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


class AdminRoutes:
    """Answer the admin API; every refusal is a Problem."""

    def __init__(self, roster: Roster) -> None:
        self._roster, self._config = roster, roster.config
        self._bodies = BodyReader(self._config.max_body_bytes, self._config.max_bodies_bytes)
        # One at a time: an upload takes disk and processor that answers need.
        self._uploads = asyncio.Lock()

    def routes(self) -> list[Route]:
        """List the routes, each behind the token."""
        return [
            Route("/admin/truth", self._guarded(self._truth), methods=["PUT"]),
            Route("/admin/models/{model}", self._guarded(self._status), methods=["GET"]),
            Route("/admin/models/{model}", self._guarded(self._forget), methods=["DELETE"]),
            Route("/admin/models/{model}/record", self._guarded(self._record), methods=["PUT"]),
            Route("/admin/models/{model}/break-glass", self._guarded(self._break_glass), methods=["POST"]),
            Route("/admin/models/{model}/break-glass/reported", self._guarded(self._glass_reported), methods=["POST"]),
            Route("/admin/models/{model}/prepare", self._guarded(self._prepare), methods=["POST"]),
            Route("/admin/models/{model}/rehearsal", self._guarded(self._rehearsal), methods=["POST"]),
            Route("/admin/models/{model}/canary", self._guarded(self._canary), methods=["POST"]),
            Route("/admin/models/{model}/canary/reported", self._guarded(self._lapse_reported), methods=["POST"]),
            Route("/admin/models/{model}/rows", self._guarded(self._rows), methods=["POST"]),
            Route("/admin/models/{model}/files/{version}", self._guarded(self._files), methods=["PUT"]),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                self._check_token(request)
                return await handler(request)
            except (UnderstudyError, OSError, Disconnected, ClientDisconnect) as failed:
                return problem_of(failed)

        return answer

    def _check_token(self, request: Request) -> None:
        token = self._config.token.get_secret_value() if self._config.token is not None else ""
        if not token:
            raise RequestRefused(403, "This gateway was started without a token, so its admin API is closed.")
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise RequestRefused(401, "The header Authorization does not hold this gateway's token.")

    async def _read(self, request: Request, kind: type[T]) -> T:
        body = await self._bodies.read(request.headers.get("content-length"), request.receive)
        self._bodies.release(body)
        try:
            return kind.model_validate_json(body)
        except ValidationError as wrong:
            where = ".".join(str(part) for part in wrong.errors()[0]["loc"]) or "the body"
            raise RequestRefused(400, f"This is no {kind.__name__}: {where}: {wrong.errors()[0]['msg']}.") from wrong

    async def _record(self, request: Request) -> Response:
        order = await self._read(request, ServingOrder)
        self._check_name(request, order.record.model)
        named = order.record
        for bundle in (named.champion, named.previous, named.mirror, named.canary):
            self._check_name(request, order.record.model if bundle is None else bundle.model)
        return said(await self._roster.apply(order))

    async def _prepare(self, request: Request) -> Response:
        order = await self._read(request, PrepareOrder)
        self._check_name(request, order.bundle.model)
        await self._roster.prepare(order)
        return Response(b"{}", media_type="application/json")

    async def _break_glass(self, request: Request) -> Response:
        order = await self._read(request, BreakGlassOrder)
        return said(await self._find(request).break_glass(order))

    async def _glass_reported(self, request: Request) -> Response:
        glass = await self._read(request, BrokenGlass)
        # Of a model that serves nothing here any more, too.
        model = self._roster.models.get(self._check_name(request, glass.model))
        if model is not None:
            await model.glass_reported(glass)
        return Response(b"{}", media_type="application/json")

    async def _lapse_reported(self, request: Request) -> Response:
        lapse = await self._read(request, CanaryLapse)
        model = self._roster.models.get(self._check_name(request, lapse.model))
        if model is not None:
            await model.lapse_reported(lapse)
        return Response(b"{}", media_type="application/json")

    async def _status(self, request: Request) -> Response:
        name = self._check_name(request)
        model = self._roster.find(name)
        if model is None:
            return said(ModelStatus(gateway=self._config.name, model=name, epoch=0, version=None, workers=()))
        return said(model_status(self._config.name, model))

    async def _forget(self, request: Request) -> Response:
        purge = request.query_params.get(PURGE, "").lower() == "true"
        await self._roster.forget(self._check_name(request), purge=purge)
        return Response(b"{}", media_type="application/json")

    async def _rehearsal(self, request: Request) -> Response:
        from understudy.gateway.log.evidence import measure

        query = await self._read(request, RehearsalQuery)
        model = self._find(request)
        if model.terms is None:
            raise RequestRefused(404, f"{model.name} has served nothing here that could be compared.")
        rss = {
            channel.bundle.version: size
            for channel in model.lineup.channels.values()
            if channel.worker is not None and (size := channel.worker.rss_bytes()) is not None
        }
        folder = self._config.log_dir(model.name)
        return said(await measure(folder, self._config.name, model.name, model.terms.task, query, rss))

    async def _canary(self, request: Request) -> Response:
        from understudy.gateway.log.canary_evidence import measure_canary

        query = await self._read(request, CanaryQuery)
        model = self._find(request)
        if model.terms is None:
            raise RequestRefused(404, f"{model.name} has served nothing here that could be compared.")
        model.lease.refuse(query.epoch)
        model.renew_lease(query.epoch)
        rss = {
            model.lineup.role_of(channel): size
            for channel in model.lineup.channels.values()
            if channel.worker is not None and (size := channel.worker.rss_bytes()) is not None
        }
        folder = self._config.log_dir(model.name)
        report = await measure_canary(folder, self._config.name, model.name, model.terms.task, query, rss)
        model.renew_lease(query.epoch)  # a look at a long log takes a good part of the lease
        return said(report)

    async def _rows(self, request: Request) -> Response:
        from understudy.gateway.log.rows import write_rows

        query = await self._read(request, RowsQuery)
        # A model that is served no more still has its log.
        folder = self._config.log_dir(self._check_name(request))
        scratch = Path(mkdtemp(prefix="understudy-rows-"))
        try:
            counted = await write_rows(folder, self._config.name, query, scratch / ROWS_FILE)
        except BaseException:
            rmtree(scratch, ignore_errors=True)
            raise
        return FileResponse(
            scratch / ROWS_FILE,
            media_type="application/vnd.apache.parquet",
            headers={COUNTED: counted.model_dump_json()},
            background=BackgroundTask(rmtree, scratch, ignore_errors=True),
        )

    async def _truth(self, request: Request) -> Response:
        self._roster.truth = truth = await self._read(request, TruthReport)
        # The gateway's own clock: the age of news must not depend on another machine's.
        self._roster.truth_at = datetime.now(timezone.utc)
        models = self._roster.models
        for name, epoch in truth.canaries.items():
            if name in models:
                models[name].renew_lease(epoch)
        broken = (model.glasses.unreported for model in models.values())
        lapsed = tuple(lapse for model in models.values() for lapse in model.lease.lapses)
        return said(Unreported(broken=tuple(glass for glass in broken if glass is not None), lapsed=lapsed))

    async def _files(self, request: Request) -> Response:
        name, number = self._check_name(request), str(request.path_params["version"])
        if not VERSION.fullmatch(number):
            raise RequestRefused(400, "A version is a whole number from 1 on.")
        version, sha256 = int(number), request.headers.get(ARTEFACT, "")
        if not SHA256.fullmatch(sha256):
            raise RequestRefused(400, "Send the digest of the version's files in the header X-Artefact-Sha256.")
        folder = self._config.bundle_dir(name, version)
        async with self._uploads:
            await Upload(name, version, folder, self._config.max_upload_bytes).receive(request.stream(), sha256)
        if (model := self._roster.find(name)) is not None:
            model.lineup.files_arrived(version)
        return Response(b"{}", media_type="application/json")

    def _check_name(self, request: Request, named: str | None = None) -> str:
        name = str(request.path_params["model"])
        if not MODEL.fullmatch(name):
            raise RequestRefused(400, "A model's name is lower case letters, digits and underscores.")
        if named is not None and named != name:
            raise RequestRefused(400, f"The order for {name} names another model.")
        return name

    def _find(self, request: Request) -> ServedModel:
        model = self._roster.find(self._check_name(request))
        if model is None:
            raise RequestRefused(404, "No model of this name is served here.")
        return model
