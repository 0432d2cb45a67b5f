"""Read JSON as callers write it."""

import json
from typing import Any

import orjson

from understudy.gateway.scoring.refusals import RequestUnreadable


def read_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object; of a repeated key the last one counts, and NaN and Infinity are read as MLflow reads them.

    :raises RequestUnreadable: for anything else.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = _read_slowly(body)
    if not isinstance(found, dict):
        raise RequestUnreadable("The request must be a JSON object.")
    return found


def _read_slowly(body: bytes) -> Any:
    """Read what the fast reader refuses and the standard library takes: NaN, 1e400, a byte order mark."""
    try:
        found = json.loads(body)
        json.dumps(
            found, ensure_ascii=False
        ).encode()  # half a surrogate pair is no text, and breaks later what meets it
    except (ValueError, RecursionError) as broken:
        raise RequestUnreadable("The request is not valid JSON in UTF-8.") from broken
    return found
