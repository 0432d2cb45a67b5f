"""Requests whose right answers are known: labelled, counted, and watched for who answers them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from understudy.hooks.traffic.labelled_traffic import ROWS, LabelledRows, LabelledTraffic

KNOWN = LabelledRows(columns=("a",), rows=tuple((float(n),) for n in range(20)), labels=tuple(n % 3 for n in range(20)))


class Gateway:
    """Answer as a version under a record; keep what is asked."""

    def __init__(self) -> None:
        self.url, self.version, self.epoch, self.status = "", 1, 1, 200
        self.asked: dict[str, list[list[float]]] = {}
        self.labels: list[dict[str, Any]] = []
        self.headers: set[str] = set()


@contextmanager
def running(*gateways: Gateway) -> Iterator[list[str]]:
    servers = [serve(gateway) for gateway in gateways]
    try:
        yield [gateway.url for gateway in gateways]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def serve(gateway: Gateway) -> ThreadingHTTPServer:
    numbers = count()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            gateway.headers |= {name.lower() for name in self.headers}
            name = f"r{next(numbers)}"
            if self.path.endswith("/labels"):
                gateway.labels += body["labels"]
            else:
                gateway.asked[name] = body["dataframe_split"]["data"]
            self.send_response(gateway.status)
            self.send_header("X-Understudy-Request-Id", name)
            self.send_header("X-Understudy-Version", str(gateway.version))
            self.send_header("X-Understudy-Epoch", str(gateway.epoch))
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def test_each_request_gets_the_labels_of_its_own_rows_and_no_caller_shows_a_token() -> None:
    gateway = Gateway()
    with running(gateway) as urls, LabelledTraffic(urls, "m", KNOWN) as traffic:
        until(lambda: len(gateway.labels) >= 3 * ROWS)
        until(lambda: traffic.requests >= 3)
    for label in gateway.labels:
        (value,) = gateway.asked[label["request_id"]][label["row"]]
        assert label["label"] == KNOWN.labels[int(value)]
    assert not gateway.headers & {"authorization", "x-understudy-probe"}
    assert traffic.lost == 0


def test_a_version_answers_everywhere_only_when_the_last_gateway_does_so_under_that_record() -> None:
    east, west = Gateway(), Gateway()
    with running(east, west) as urls, LabelledTraffic(urls, "m", KNOWN) as traffic:
        until(lambda: traffic.answered_everywhere_at(1, 1) is not None)
        assert traffic.answered_everywhere_at(2, 2) is None
        east.version, east.epoch = 2, 2
        west.version, west.epoch = 2, 1  # the version is right, the record is an old one
        asked = traffic.requests
        until(lambda: traffic.requests > asked + 10)
        assert traffic.answered_everywhere_at(2, 2) is None
        before = time.monotonic()
        west.epoch = 3
        until(lambda: traffic.answered_everywhere_at(2, 2) is not None)
        answered_at = traffic.answered_everywhere_at(2, 2)
        assert answered_at is not None
        assert answered_at >= before


def test_what_is_refused_or_never_answered_is_lost_and_ends_nothing() -> None:
    broken = Gateway()
    broken.status = 503
    with running(broken) as urls:
        with LabelledTraffic([*urls, "http://127.0.0.1:1"], "m", KNOWN) as traffic:
            until(lambda: traffic.requests >= 6)
        assert traffic.lost == traffic.requests
        assert broken.labels == []
