"""Read JSON that no two parsers can read differently."""

import json
from typing import Any

from understudy.engine_proxy.refusals import Unreadable, shown


def read_object(text: bytes) -> dict[str, Any]:
    """Read one JSON object: UTF-8, keys in ASCII and each once in whatever case, nothing after it.

    The engine's own reader takes the last of several keys, and takes ``ſ`` for ``s`` in them.

    :raises Unreadable: for anything else.
    """
    try:
        # Not by json.loads(bytes), which guesses UTF-16 and UTF-32 as well.
        read = json.loads(text.decode("utf-8"), object_pairs_hook=_unambiguous, parse_constant=_no_constant)
    except (ValueError, RecursionError) as wrong:
        raise Unreadable(f"its JSON is broken ({str(wrong)[:80]})") from wrong
    if not isinstance(read, dict):
        raise Unreadable("its JSON is not an object")
    return read


def write(what: object) -> bytes:
    """Write JSON in ASCII."""
    return json.dumps(what, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: set[str] = set()
    for key, _ in pairs:
        if not key.isascii():
            raise Unreadable(f"its JSON has the key {shown(key)}, which is not in ASCII")
        if key.lower() in seen:
            raise Unreadable(f"its JSON has the key {shown(key)} twice")
        seen.add(key.lower())
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise Unreadable(f"its JSON has {name}, which is no number")
