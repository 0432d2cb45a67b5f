"""The HTTP side of a connection, with an end to patience: slow, endless and too many callers are sent away."""

import asyncio
import logging
from collections import Counter
from typing import Any, ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from understudy.gateway.config import GatewayConfig
from understudy.gateway.request_body import Receive, Scope, Send

# uvicorn warns of every malformed request, which lets anybody fill the disk that the output goes to.
LOG = logging.getLogger(__name__)
LOG.setLevel(logging.ERROR)
HEADERS_LIMIT = 64 << 10
LOOK_S = 1.0
# A version of gigabytes over a slow line takes its time.
UPLOAD_S = 3_600.0
REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
CROWDED = orjson.dumps(
    {
        "error_code": "TEMPORARILY_UNAVAILABLE",
        "message": "The gateway has as many connections as it takes. Try again shortly.",
    }
)


async def crowded(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer one connection too many."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(CROWDED)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": CROWDED})


class PatientHttp(HttpToolsProtocol):
    """Give each request a time for its headers, and one for its body."""

    limits: ClassVar[GatewayConfig]
    turned_away: ClassVar[Counter[int]]
    _deadline: float | None = None
    _is_in_headers = True
    _header_bytes = 0
    _look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the first request."""
        super().connection_made(transport)
        self.logger = LOG
        if len(self.connections) > self.limits.max_connections * 2:
            transport.abort()
            return
        if len(self.connections) > self.limits.max_connections:
            self.app = crowded
        self._deadline = self.loop.time() + self.limits.header_timeout_s
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the headers have no end."""
        if self._is_in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._is_in_headers and self._header_bytes > HEADERS_LIMIT:
            self._turn_away(431, "The request's headers are too long.")

    def on_message_begin(self) -> None:
        """Start the time for the headers."""
        super().on_message_begin()
        self._deadline = self.loop.time() + self.limits.header_timeout_s

    def on_headers_complete(self) -> None:
        """Start the time for the body."""
        super().on_headers_complete()
        self._is_in_headers = False
        patience_s = UPLOAD_S if self.url.startswith(b"/admin/") else self.limits.body_timeout_s
        self._deadline = self.loop.time() + patience_s

    def on_message_complete(self) -> None:
        """Stop the time: the rest is ours to do."""
        super().on_message_complete()
        self._deadline = None
        self._is_in_headers, self._header_bytes = True, 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the base class's signature
        """Answer what is no HTTP."""
        self._turn_away(400, "This is not HTTP/1.1.")

    def _look_again(self) -> None:
        # Once a second for each connection, instead of two timers for each request.
        if self._deadline is not None and self.loop.time() > self._deadline:
            self._turn_away(408, "The request did not arrive in time.")
        else:
            self._look = self.loop.call_later(LOOK_S, self._look_again)

    def _turn_away(self, status: int, sentence: str) -> None:
        if self.transport.is_closing():
            return
        self.turned_away[status] += 1
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        body = orjson.dumps({"error_code": "BAD_REQUEST", "message": sentence})
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def patient_http(config: GatewayConfig, turned_away: Counter[int]) -> type[PatientHttp]:
    """Make uvicorn's protocol keep a gateway's limits and count; uvicorn has no other way to hand them over."""
    return type("LimitedHttp", (PatientHttp,), {"limits": config, "turned_away": turned_away})
