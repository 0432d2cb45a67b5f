"""Requests to every gateway whose right answers are known: as callers send them, with the labels soon after."""

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import count
from types import TracebackType
from typing import NamedTuple

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.hooks.places.gateway_client import GatewayClient
from understudy.hooks.places.gateway_target import EPOCH_HEADER, VERSION_HEADER

ROWS = 8
"""Rows in one request."""
PAUSE_S = 0.04
LABELS_EVERY_S = 0.25
PATIENCE_S = 10.0
REQUEST_ID = "X-Understudy-Request-Id"


class LabelledRows(Fact):
    """Hold rows and what is true of each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]


class Sighting(NamedTuple):
    """Hold what one request showed; no version where it was lost."""

    gateway: str
    answered_at: float
    version: int | None
    epoch: int


class LabelledTraffic:
    """Send requests from threads of its own while it is entered; no error ends it, each is counted.

    :param urls: the gateways' base URLs; each gets the same rate.
    """

    def __init__(self, urls: Sequence[str], model: str, known: LabelledRows) -> None:
        self._model, self._known = model, known
        self._clients = [GatewayClient(url, None) for url in urls]
        self._is_over = threading.Event()
        self._sightings: list[Sighting] = []
        self._due: dict[str, deque[tuple[str, int]]] = {client.url: deque() for client in self._clients}
        self._threads = [
            threading.Thread(target=work, args=(client,), name="labelled-traffic", daemon=True)
            for client in self._clients
            for work in (self._send, self._label)
        ]

    def __enter__(self) -> "LabelledTraffic":
        """Begin to send."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, once what was sent is answered."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S * 2)

    @property
    def requests(self) -> int:
        """Count what was sent."""
        return len(self._sightings)

    @property
    def lost(self) -> int:
        """Count the requests without a usable answer."""
        return sum(sighting.version is None for sighting in self._sightings)

    def answered_everywhere_at(self, version: int, epoch: int) -> float | None:
        """Say when the last gateway first answered with a version under a record, by the monotonic clock.

        None while one of them has not done so.
        """
        first: dict[str, float] = {}
        for sighting in list(self._sightings):
            if sighting.version == version and sighting.epoch >= epoch:
                first.setdefault(sighting.gateway, sighting.answered_at)
        return max(first.values()) if len(first) == len(self._due) else None

    def _send(self, client: GatewayClient) -> None:
        for number in count():
            if self._is_over.wait(PAUSE_S):
                return
            start = number * ROWS % (len(self._known.rows) - ROWS + 1)
            self._sightings.append(self._ask(client, start))

    def _ask(self, client: GatewayClient, start: int) -> Sighting:
        split = {"columns": self._known.columns, "data": self._known.rows[start : start + ROWS]}
        body = json.dumps({"dataframe_split": split}).encode()
        try:
            answer = client.call(f"/models/{self._model}/invocations", body, PATIENCE_S)
        except UnderstudyError:
            return Sighting(client.url, time.monotonic(), None, 0)
        told = answer.headers
        version, epoch = told.get(VERSION_HEADER, ""), told.get(EPOCH_HEADER, "")
        if answer.status_code != 200 or not (version.isdigit() and epoch.isdigit()):
            return Sighting(client.url, time.monotonic(), None, 0)
        self._due[client.url].append((told.get(REQUEST_ID, ""), start))
        return Sighting(client.url, time.monotonic(), int(version), int(epoch))

    def _label(self, client: GatewayClient) -> None:
        due = self._due[client.url]
        while not self._is_over.wait(LABELS_EVERY_S):
            labels: list[dict[str, str | int]] = []
            while due:
                request_id, start = due.popleft()
                labels += [
                    {"request_id": request_id, "row": row, "label": self._known.labels[start + row]}
                    for row in range(ROWS)
                ]
            if labels:
                self._post(client, labels)

    def _post(self, client: GatewayClient, labels: list[dict[str, str | int]]) -> None:
        try:
            client.call(f"/models/{self._model}/labels", json.dumps({"labels": labels}).encode(), PATIENCE_S)
        except UnderstudyError:
            return  # labels that never arrive decide nothing, and the drill says so
