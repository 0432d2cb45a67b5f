"""What turned out to be true: labels that callers send later, in batches, as often as they like."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from understudy.contract.errors import UnderstudyError
from understudy.gateway.log.line import SCHEMA, seal

MOST_LABELS = 100_000
LONGEST_TEXT = 200
EXAMPLE = '{"labels": [{"request_id": "...", "row": 0, "label": 1}]}'


class LabelsRefused(UnderstudyError):
    """A batch of labels cannot be used; none of it was kept."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The labels were refused: {problem}. Send for example {EXAMPLE}.")


class Label(NamedTuple):
    """Hold the true value of one row, named by our id of its request or by the caller's."""

    request_id: str | None
    client_id: str | None
    row: int
    value: bool | int | float | str
    ts_ns: int
    """When it arrived: the latest label of a row counts."""


def parse_labels(body: bytes) -> list[Label]:
    """Read a batch of labels; raise LabelsRefused for one that is malformed or has more than 100,000."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise LabelsRefused("the body is not JSON") from wrong
    entries = given.get("labels") if isinstance(given, dict) else None
    if not isinstance(entries, list) or not entries:
        raise LabelsRefused('the body has no list "labels" with at least one entry')
    if len(entries) > MOST_LABELS:
        raise LabelsRefused(f"{len(entries):,} labels are more than the {MOST_LABELS:,} of one batch")
    now = time.time_ns()
    return [_label(number, entry, now) for number, entry in enumerate(entries)]


def _label(number: int, entry: Any, now: int) -> Label:
    if not isinstance(entry, dict):
        raise LabelsRefused(f"labels[{number}] is not an object")
    unknown = set(entry) - {"request_id", "client_id", "row", "label"}
    if unknown:
        raise LabelsRefused(f"labels[{number}] has an unknown field; known are request_id, client_id, row and label")
    request_id, client_id = entry.get("request_id"), entry.get("client_id")
    for name, value in (("request_id", request_id), ("client_id", client_id)):
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT):
            raise LabelsRefused(f"labels[{number}].{name} is not a text of 1 to {LONGEST_TEXT} characters")
    if (request_id is None) == (client_id is None):
        raise LabelsRefused(f"labels[{number}] needs a request_id or a client_id, and not both")
    row = entry.get("row", 0)
    if type(row) is not int or not 0 <= row < MOST_LABELS:
        raise LabelsRefused(f"labels[{number}].row is not a whole number from 0 to {MOST_LABELS - 1:,}")
    value = entry.get("label")
    if not isinstance(value, (bool, int, float, str)) or (isinstance(value, str) and len(value) > LONGEST_TEXT):
        raise LabelsRefused(f"labels[{number}].label is not a number, a truth value or a text up to {LONGEST_TEXT}")
    return Label(request_id, client_id, row, value, now)


def label_lines(labels: Sequence[Label]) -> bytes:
    """Write labels as lines of a segment."""
    return b"".join(
        seal(
            orjson.dumps(
                {
                    "schema": SCHEMA,
                    "kind": "label",
                    "request_id": label.request_id,
                    "client_id": label.client_id,
                    "row": label.row,
                    "value": label.value,
                    "ts_ns": label.ts_ns,
                }
            )
        )
        for label in labels
    )
