"""What the rooms' parts hand to each other: a request to be scored, its answer, and what of both is logged."""

from enum import IntEnum
from typing import NamedTuple

from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role


class Wire(IntEnum):
    """Name the protocol that a request is written in; its answer and its errors are written in the same."""

    MLFLOW_JSON = 1
    MLFLOW_CSV = 2
    V2_JSON = 3


class Item(NamedTuple):
    """Hold one request as it came."""

    wire: Wire
    body: bytes


class Answer(NamedTuple):
    """Hold what a scoring process says to one item."""

    status: int
    body: bytes
    """The HTTP answer in the item's protocol, also for an error."""
    rows: int
    output: bytes
    """For the log, in JSON: ``{"predictions": [...], "probabilities": [[...]] or null, "classes": [...]}``.

    Empty for an error.
    """
    score_us: int
    """How long the item took; for one of a batch, its share by rows."""
    batch: int
    """How many items were scored together."""
    error: str | None = None
    """The class of the error."""


class LogRow(NamedTuple):
    """Hold what the prediction log keeps of one request and one version; by the request's id, roles are paired."""

    request_id: str
    """Made here, ordered by time."""
    client_id: str | None
    """What the caller sent as X-Request-Id."""
    ts_ns: int
    epoch: int
    role: Role
    bundle: Bundle
    item: Item
    answer: Answer | None
    """None where a mirrored request was lost."""
    loss: MirrorLoss | None
    queue_us: int
    total_us: int
    """From the request's arrival to its answer; for a mirror, to the answer that nobody waited for."""
    unit: str | None = None
    """The digest of the caller's key, where a canary or its baseline was to answer; None without a key."""
