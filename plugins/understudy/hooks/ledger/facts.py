"""What may be written down: plain JSON, no NaN, no passwords."""

import math
import re
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

# Everything between the user's colon and the last @ of an address: better to mask a word too many than to miss a
# password.
PASSWORD_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):[^\s]+@")


def mask(text: str) -> str:
    """Replace passwords in URLs, and what no database can keep as text."""
    keepable = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return PASSWORD_IN_URL.sub(r"\1:***@", keepable)


def storable(value: Any) -> JsonValue:
    """Turn facts into JSON: NaN and infinity become null, passwords in URLs are masked."""
    return _keepable(to_jsonable_python(value, fallback=str))


def _keepable(value: Any) -> JsonValue:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(str(key)): _keepable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_keepable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float) else str(value)
