"""The way of a request to its answer, and of both to the log. Nothing here may be slow."""

import asyncio
import hmac
import logging

from understudy.contract.words import Role
from understudy.gateway.call import Call, lost_row, row_of
from understudy.gateway.content import NO_BINARY, wire_of
from understudy.gateway.errors import NoSuchVersion, NotServing, Overloaded, RequestRefused
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.refusals import refusal
from understudy.gateway.request_body import BodyReader, Disconnected, Receive, Scope, Send
from understudy.gateway.request_ids import RequestIds
from understudy.gateway.roster import Roster
from understudy.gateway.served_model import ServedModel
from understudy.gateway.waiting import Answered

LOG = logging.getLogger(__name__)
JSON = (b"content-type", b"application/json")
AGAIN = (b"retry-after", b"1")
TRIED = (Role.CANARY, Role.BASELINE)
LONGEST_VERSION = 9
Headers = tuple[tuple[bytes, bytes], ...]


class ScoringRoute:
    """Answer requests to score."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._ids = RequestIds()
        self._bodies = BodyReader(roster.config.max_body_bytes, roster.config.max_bodies_bytes)
        token = roster.config.token
        self._token = token.get_secret_value().encode() if token is not None else b""

    async def score(
        self, scope: Scope, receive: Receive, send: Send, name: str, *, is_v2: bool, version: str | None = None
    ) -> None:
        """Answer one request, in its protocol whatever happens; where it names a version, only that one answers."""
        call = Call(scope["headers"], self._ids.next())
        try:
            model = self._find(scope, name)
            call.version = None if version is None else version_of(model, version)
            self._refuse_unusable(call)
            wire = wire_of(call.content_type, is_v2)
            body = await self._bodies.read(call.length, receive)
            item = Item(wire, body)
        except Disconnected:
            return
        except RequestRefused as refused:
            wire = Wire.V2_JSON if is_v2 else Wire.MLFLOW_JSON
            self._roster.turned_away[refused.status] += 1
            await self._refuse(send, call, wire, refused.status, str(refused))
            return
        try:
            await self._ask(send, call, model, item)
        except Exception:
            LOG.exception("A request stumbled")
            sentence = "The gateway stumbled over this request; its own log says how."
            await self._turn_away(send, call, model, item, 500, sentence)
        finally:
            self._bodies.release(body)

    async def _ask(self, send: Send, call: Call, model: ServedModel, item: Item) -> None:
        try:
            if call.version is not None:
                waiting = model.intake.ask_version(item, call.arrived_ns, call.version)
            elif model.intake.has_trial and call.probe is None:
                sticky = call.key or call.client_id
                waiting = model.intake.ask(item, call.arrived_ns, sticky or call.id, is_loose=not sticky)
            else:
                waiting = model.intake.ask(item, call.arrived_ns)
        except NoSuchVersion as unknown:
            await self._turn_away(send, call, model, item, 404, str(unknown))
            return
        except NotServing as absent:
            await self._turn_away(send, call, model, item, 503, str(absent))
            return
        except Overloaded as full:
            await self._turn_away(send, call, model, item, 429, str(full))
            return
        timer = asyncio.get_running_loop().call_later(model.lineup.timeout_s, waiting.expire)
        answered = await waiting.future
        timer.cancel()
        waiting.cancel_timer()
        if answered is None:
            await self._time_out(send, call, model, item)
        else:
            await self._answer(send, call, model, item, answered, waiting.unit)
        if waiting.lost is not None:
            model.note(lost_row(call, item, waiting.lost, answered))

    def _find(self, scope: Scope, name: str) -> ServedModel:
        if scope["method"] != "POST":
            raise RequestRefused(405, "Send POST to score.")
        model = self._roster.find(name)
        if model is None:
            raise RequestRefused(404, "No model of this name is served here.")
        return model

    def _refuse_unusable(self, call: Call) -> None:
        if call.encoding is not None and call.encoding.lower() != b"identity":
            raise RequestRefused(415, "The body must not be compressed.")
        if call.is_binary:
            # V2's clients send numbers so unless they are told not to, and name no type for it.
            raise RequestRefused(415, NO_BINARY)
        if call.probe is not None and not (self._token and hmac.compare_digest(call.probe, self._token)):
            raise RequestRefused(401, "The header X-Understudy-Probe does not hold this gateway's token.")

    async def _answer(  # noqa: PLR0917 - the way of a request, in its order
        self, send: Send, call: Call, model: ServedModel, item: Item, answered: Answered, unit: str | None
    ) -> None:
        answer, stamp, queue_us = answered
        if call.version not in {None, stamp.bundle.version}:
            # It was the champion when it was asked, and another one took over.
            stamp.leaving -= 1
            sentence = f"Version {call.version} has stopped answering meanwhile."
            await self._turn_away(send, call, model, item, 503, sentence)
            return
        row = row_of(call, stamp, item, answer, queue_us, unit if stamp.role in TRIED else None)
        try:
            if model.is_strict and not await _is_logged(model, row):
                sentence = "The answer cannot be logged, as this model demands."
                await self._turn_away(send, call, model, item, 503, sentence)
                return
            _count(call, model, answer.status)
            await _send(
                send, answer.status, answer.body, (*stamp.headers, (b"x-understudy-request-id", call.id.encode()))
            )
        finally:
            stamp.leaving -= 1
        if not model.is_strict:
            model.note(row)
        if row.role not in {Role.PROBE, Role.ASKED}:
            model.intake.mirror(row)

    async def _time_out(self, send: Send, call: Call, model: ServedModel, item: Item) -> None:
        sentence = f"No answer within {model.lineup.timeout_s * 1000:.0f} ms."
        body = refusal(item.wire, 504, sentence)
        try:
            stamp = model.intake.stamp_of(call.version)
        except NoSuchVersion:
            stamp = None  # it left while it was waited for
        if stamp is not None:
            answer = Answer(504, body, rows=0, output=b"", score_us=0, batch=0, error="Timeout")
            model.note(row_of(call, stamp, item, answer, int(model.lineup.timeout_s * 1e6)))
        await self._turn_away(send, call, model, item, 504, sentence)

    async def _turn_away(  # noqa: PLR0917 - who asked whom, and what is said
        self, send: Send, call: Call, model: ServedModel, item: Item, status: int, sentence: str
    ) -> None:
        _count(call, model, status)
        await self._refuse(send, call, item.wire, status, sentence)

    async def _refuse(self, send: Send, call: Call, wire: Wire, status: int, sentence: str) -> None:
        headers: Headers = ((b"x-understudy-request-id", call.id.encode()),)
        if status in {429, 503}:
            headers = (*headers, AGAIN)
        elif status == 405:
            headers = (*headers, (b"allow", b"POST"))
        elif status == 413:
            headers = (*headers, (b"connection", b"close"))
        await _send(send, status, refusal(wire, status, sentence), headers)


def _count(call: Call, model: ServedModel, status: int) -> None:
    if call.probe is None:
        model.traffic.requests[status] += 1


def version_of(model: ServedModel, named: str) -> int:
    """Read a version of a path; raise RequestRefused where it can be none or answers nobody."""
    if not (named.isascii() and named.isdecimal() and len(named) <= LONGEST_VERSION):
        raise RequestRefused(404, "A version is a whole number from 1 on.")
    try:
        return model.lineup.channel_of(int(named)).bundle.version
    except NoSuchVersion as unknown:
        raise RequestRefused(404, str(unknown)) from unknown


async def _is_logged(model: ServedModel, row: LogRow) -> bool:
    written = model.note(row)
    if written is None:
        return True
    # A disk that hangs must not hold the caller longer than a model that does.
    await asyncio.wait([written], timeout=model.lineup.timeout_s)
    return written.done() and written.exception() is None


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})
