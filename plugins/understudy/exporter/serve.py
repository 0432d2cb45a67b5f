"""Answer scrapes over HTTP, each with what is true now."""

import logging
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from understudy.exporter.observe import Known, observe

LOG = logging.getLogger(__name__)
IDLE_S = 10.0
"""How long a client may take to say what it wants."""
NOTHING_HERE = b"There is nothing at this path; the numbers are at /metrics.\n"


class MetricsServer(ThreadingHTTPServer):
    """Show what is known at ``/metrics``, to one scraper after the other.

    :raises OSError: where the address cannot be had.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, known: Known) -> None:
        self.known, self.reading = known, Lock()
        super().__init__((host, port), _Scrape)

    @property
    def url(self) -> str:
        """Give the address of the metrics."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/metrics"


class _Scrape(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = IDLE_S

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, NOTHING_HERE, "text/plain; charset=utf-8")
            return
        with self.server.reading:
            shown = observe(self.server.known)
        body, media_type = shown.text(self.headers.get("accept", ""))
        self._answer(HTTPStatus.OK, body, media_type)

    def log_message(self, format: str, *args: object) -> None:
        LOG.debug(format, *args)

    def _answer(self, status: HTTPStatus, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
