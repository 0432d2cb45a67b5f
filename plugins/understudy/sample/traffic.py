"""Live requests: the sample's hours, replayed at a gateway one after the other, and their labels some time later."""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from understudy.contract.declared import Fact
from understudy.sample.powerprice import COLUMNS
from understudy.trust import trust_for

if TYPE_CHECKING:
    import httpx

TARGET = "up"
NOT_SENT = {"timestamp", TARGET}
ANSWER_WITHIN_S = 15.0
LABELS_EVERY_S = 0.5
NO_ANSWER = 0
"""Stands for the status of a request that was never answered."""


class Hours(NamedTuple):
    """Hold the hours that are replayed, over and over; the label of each is known in the end."""

    rows: Sequence[Sequence[Any]]
    labels: Sequence[int]

    @classmethod
    def of(cls, columns: dict[str, list[Any]], begin: datetime, end: datetime) -> "Hours":
        """Cut a span of time out of the sample's columns."""
        chosen = [row for row, at in enumerate(columns["timestamp"]) if begin <= at.replace(tzinfo=timezone.utc) < end]
        sent = [column for column in COLUMNS if column not in NOT_SENT]
        return cls(
            rows=[[columns[column][row] for column in sent] for row in chosen],
            labels=[columns[TARGET][row] for row in chosen],
        )


class Answered(NamedTuple):
    """Hold one request's end."""

    sent_at: datetime
    took_s: float
    status: int
    version: int | None


class Count(Fact):
    """Sum up what a span of requests came to."""

    requests: int
    failed: int
    versions: dict[int, int]
    """Answers by the version that gave them."""
    statuses: dict[int, int]
    slowest_ms: float


class Traffic:
    """Send requests at a steady rate from threads of its own, and the labels of those some seconds old.

    No error ends it: each is counted. Answers that take very long lower the rate, as there are only so many callers.

    :param base_url: the gateway's.
    :param label_after_s: how long a label takes to become known.
    """

    CALLERS = 4

    def __init__(
        self, base_url: str, model: str, hours: Hours, *, rate_per_s: float = 20.0, label_after_s: float = 2.0
    ) -> None:
        self._base_url, self._model = base_url, model
        self._pause_s, self._label_after_s = self.CALLERS / rate_per_s, label_after_s
        self._hours = hours
        self._numbers = count()
        self._prefix = f"{time.time_ns():x}"
        self._is_over = threading.Event()
        self._unlabelled: deque[tuple[float, str, int]] = deque()
        self._answered: list[Answered] = []
        self.labels_sent = 0
        self.labels_lost = 0
        workers = [self._send] * self.CALLERS + [self._post_labels]
        self._threads = [threading.Thread(target=work, name="traffic", daemon=True) for work in workers]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, once what was sent is answered."""
        self._is_over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(ANSWER_WITHIN_S * 2)

    def play(self, hours: Hours) -> None:
        """Replay other hours from the next request on."""
        self._hours = hours

    @property
    def mark(self) -> int:
        """Name this moment, to count from it."""
        return len(self._answered)

    def since(self, mark: int) -> Count:
        """Sum up the requests that were answered, or not, since a moment."""
        answered = self._answered[mark:]
        return Count(
            requests=len(answered),
            failed=sum(one.status != 200 for one in answered),
            versions=dict(Counter(one.version for one in answered if one.version is not None)),
            statuses=dict(Counter(one.status for one in answered)),
            slowest_ms=1000 * max((one.took_s for one in answered), default=0.0),
        )

    def stale(self, version: int, since: datetime) -> int:
        """Count the requests sent after a moment that were answered by a version which no longer served then."""
        return sum(one.version == version and one.sent_at > since for one in self._answered)

    def _send(self) -> None:
        took = 0.0
        with _client(self._base_url) as client:
            while not self._is_over.wait(max(self._pause_s - took, 0.0)):
                hours, number = self._hours, next(self._numbers)
                hour = number % len(hours.rows)
                request_id = f"{self._prefix}-{number}"
                sent_at, begun = datetime.now(timezone.utc), time.monotonic()
                status, version = self._ask(client, request_id, hours.rows[hour])
                took = time.monotonic() - begun
                self._answered.append(Answered(sent_at, took, status, version))
                self._unlabelled.append((time.monotonic() + self._label_after_s, request_id, hours.labels[hour]))

    def _ask(self, client: "httpx.Client", request_id: str, row: Sequence[Any]) -> tuple[int, int | None]:
        import httpx

        try:
            answer = client.post(
                f"/models/{self._model}/invocations",
                content=request_body([row]),
                headers={"Content-Type": "application/json", "X-Request-Id": request_id},
            )
        except httpx.HTTPError:
            return NO_ANSWER, None
        version = answer.headers.get("X-Understudy-Version", "")
        return answer.status_code, int(version) if version.isdigit() else None

    def _post_labels(self) -> None:
        import httpx

        with _client(self._base_url) as client:
            while not self._is_over.wait(LABELS_EVERY_S):
                due = self._due()
                if not due:
                    continue
                body = {"labels": [{"client_id": name, "row": 0, "label": label} for name, label in due]}
                try:
                    is_taken = client.post(f"/models/{self._model}/labels", json=body).is_success
                except httpx.HTTPError:
                    is_taken = False
                if is_taken:
                    self.labels_sent += len(due)
                else:
                    self.labels_lost += len(due)

    def _due(self) -> list[tuple[str, int]]:
        due = []
        while self._unlabelled and self._unlabelled[0][0] <= time.monotonic():
            _, name, label = self._unlabelled.popleft()
            due.append((name, label))
        return due


def request_body(rows: Sequence[Sequence[Any]]) -> bytes:
    """Write a request in MLflow's scoring protocol."""
    columns = [column for column in COLUMNS if column not in NOT_SENT]
    return json.dumps({"dataframe_split": {"columns": columns, "data": [list(row) for row in rows]}}).encode()


def _client(base_url: str) -> "httpx.Client":
    import httpx

    # Never through a proxy: the sample's gateway is on this machine.
    return httpx.Client(base_url=base_url, timeout=ANSWER_WITHIN_S, trust_env=False, verify=trust_for(base_url))
