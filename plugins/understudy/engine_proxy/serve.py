"""Take connections, each for one request."""

import asyncio
import logging
import signal
import socket
from contextlib import suppress
from http import HTTPStatus

from understudy.engine_proxy.decide import Desk, Order
from understudy.engine_proxy.engine import READ, Answer, Connection, read_answer
from understudy.engine_proxy.refusals import NotHandedOn, TooMany, TooSlow, shown
from understudy.engine_proxy.relay import exchange, linger, tunnel
from understudy.engine_proxy.request import Request
from understudy.engine_proxy.routes import read_route
from understudy.engine_proxy.strict_json import write

LOG = logging.getLogger(__name__)
CONNECTIONS = 500
DECIDED_WITHIN_S = 30.0
SWITCHING = b"HTTP/1.1 101 "


class EngineProxy:
    """Serve the clients of one engine."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._open = desk, 0

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Listen at the address; clients are served from then on.

        :raises OSError: where the address cannot be had.
        """
        return await asyncio.start_server(self._serve, host, port, limit=READ)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that is gone without a word must not hold a stage's log, say, for ever.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._open += 1
        request = Request(reader)
        try:
            await self._answer(request, reader, writer)
        except OSError:
            pass  # it is gone, or the engine went while it answered
        except asyncio.CancelledError:
            pass  # the proxy ends, and Python 3.11 would log a traceback for each connection that ends cancelled
        except Exception:  # a request that nobody foresaw: it ends unanswered, and the others go on
            LOG.exception("A request was not handed on")
        finally:
            self._open -= 1
            await _close(request, reader, writer)

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                order = await asyncio.wait_for(self._decide(request), DECIDED_WITHIN_S)
            except asyncio.TimeoutError:
                raise TooSlow(DECIDED_WITHIN_S) from None
            if isinstance(order, Order):
                await self._hand_on(order, request, reader, writer)
                return
        except NotHandedOn as refused:
            LOG.warning("%s %s: %s", request.method if request.is_begun else "-", shown(request.target), refused)
            order = Answer(refused.status, write({"message": str(refused)}))
        await _tell(order, writer)

    async def _decide(self, request: Request) -> Order | Answer:
        await request.read_head()
        if self._open > CONNECTIONS:
            raise TooMany(CONNECTIONS)
        return await self._desk.decide(read_route(request.method, request.target), request)

    async def _hand_on(
        self, order: Order, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        engine = await self._desk.engine.open(order.head)
        try:
            if order.is_tunnel:
                await _attach(engine, request, reader, writer)
            else:
                await exchange(reader, writer, engine, order.body)
        finally:
            await engine.close()


async def _attach(
    engine: Connection, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Open the tunnel where the engine does; where it does not, it still speaks HTTP and hears nothing more from us."""
    begun = await engine.reader.readuntil(b"\r\n\r\n")
    if not begun.startswith(SWITCHING):
        await _tell(await read_answer(engine.reader, begun), writer)
        return
    writer.write(begun)
    engine.writer.write(request.early)
    await tunnel(reader, writer, engine)


async def _tell(answer: Answer, writer: asyncio.StreamWriter) -> None:
    reason = HTTPStatus(answer.status).phrase
    head = (
        f"HTTP/1.1 {int(answer.status)} {reason}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + answer.body)
    await writer.drain()


async def _close(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        try:
            if not request.is_whole and not writer.is_closing():
                writer.write_eof()
                await linger(reader)
        finally:
            writer.close()
            await writer.wait_closed()


async def serve(desk: Desk, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    :raises OSError: where the address cannot be had.
    """
    server = await EngineProxy(desk).listen(host, port)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    LOG.info("Listening on %s:%s", *server.sockets[0].getsockname()[:2])
    await ended.wait()
    server.close()
