"""Live requests of the sample: sent at a rate, labelled later, counted, and never stopped by an error."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from understudy.sample.powerprice import AHEAD_H, BACK, COLUMNS, SHIFT, START, simulate
from understudy.sample.traffic import Hours, Traffic, request_body

WITHIN_S = 60.0
COLUMNS_SENT = [name for name in COLUMNS if name not in {"timestamp", "up"}]


class Gateway:
    """Answers as a gateway does: by a version, or with an error."""

    def __init__(self) -> None:
        self.version, self.status = 1, 200
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.labels: list[dict[str, Any]] = []
        gateway = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/labels"):
                    gateway.labels += body["labels"]
                else:
                    gateway.asked.append((self.headers["X-Request-Id"], body["dataframe_split"]))
                self.send_response(gateway.status)
                self.send_header("X-Understudy-Version", str(gateway.version))
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.server.shutdown()
    gateway.server.server_close()


@pytest.fixture
def traffic(gateway: Gateway) -> Iterator[Traffic]:
    hours = Hours(rows=[[1.0] * 10, [2.0] * 10], labels=[0, 1])
    traffic = Traffic(gateway.url, "powerprice", hours, rate_per_s=200, label_after_s=0.1)
    traffic.start()
    yield traffic
    traffic.stop()


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_request_is_counted_by_the_version_that_answered(gateway: Gateway, traffic: Traffic) -> None:
    wait(lambda: traffic.since(0).requests >= 10)
    gateway.version = 2
    wait(lambda: traffic.since(0).versions.get(2, 0) >= 10)
    traffic.stop()
    count = traffic.since(0)
    assert count.requests == len(gateway.asked) == sum(count.versions.values())
    assert (count.failed, set(count.versions)) == (0, {1, 2})
    assert traffic.since(traffic.mark).requests == 0


def test_labels_follow_by_the_callers_own_ids(gateway: Gateway, traffic: Traffic) -> None:
    wait(lambda: len(gateway.labels) >= 10)
    traffic.stop()
    truth = {name: split["data"][0][0] - 1 for name, split in gateway.asked}
    assert all(truth[one["client_id"]] == one["label"] and one["row"] == 0 for one in gateway.labels)
    assert traffic.labels_sent == len(gateway.labels)


def test_an_error_is_counted_and_ends_nothing(gateway: Gateway, traffic: Traffic) -> None:
    gateway.status = 503
    wait(lambda: traffic.since(0).statuses.get(503, 0) >= 5 and traffic.labels_lost > 0)
    gateway.status = 200
    mark = traffic.mark
    wait(lambda: traffic.since(mark).versions.get(1, 0) >= 5 and traffic.since(mark).statuses.get(200, 0) >= 5)
    assert traffic.since(0).failed >= 5


def test_a_gateway_that_is_gone_is_counted_too() -> None:
    hours = Hours(rows=[[1.0] * 10], labels=[0])
    with socket.socket() as deaf:  # bound, so that nobody else answers there, and not listening
        deaf.bind(("127.0.0.1", 0))
        traffic = Traffic(f"http://127.0.0.1:{deaf.getsockname()[1]}", "powerprice", hours, rate_per_s=100)
        traffic.start()
        wait(lambda: traffic.since(0).requests >= 3)
        traffic.stop()
    count = traffic.since(0)
    assert (count.failed, count.versions, set(count.statuses)) == (count.requests, {}, {0})


def test_an_answer_by_a_version_whose_end_was_known_is_stale(gateway: Gateway, traffic: Traffic) -> None:
    before = datetime.now(timezone.utc) - timedelta(minutes=1)
    wait(lambda: traffic.since(0).requests >= 3)
    traffic.stop()
    assert traffic.stale(1, since=before) == traffic.since(0).requests
    assert traffic.stale(1, since=datetime.now(timezone.utc)) == traffic.stale(2, since=before) == 0


def test_hours_hold_what_a_caller_knows_and_their_labels() -> None:
    columns = simulate()
    hours = Hours.of(columns, SHIFT, SHIFT + timedelta(days=2))
    first = int((SHIFT - START).total_seconds() // 3600)
    assert len(hours.rows) == len(hours.labels) == 48
    assert hours.labels == columns["up"][first : first + 48]
    split = json.loads(request_body(hours.rows[:2]))["dataframe_split"]
    assert split["columns"] == COLUMNS_SENT
    assert split["data"][1] == [columns[name][first + 1] for name in COLUMNS_SENT]


def test_the_market_that_turns_back_differs_from_then_on_only() -> None:
    usual, turned = simulate(), simulate(back=BACK)
    back = int((BACK - START).total_seconds() // 3600)
    assert usual["price"][:back] == turned["price"][:back]
    assert usual["up"][: back - AHEAD_H] == turned["up"][: back - AHEAD_H]
    assert sum(a != b for a, b in zip(usual["up"][back:], turned["up"][back:], strict=True)) > 1000
