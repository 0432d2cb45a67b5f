"""The two kinds of models: what people declare, and what code has measured."""

import hashlib
import json
import re
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

MODEL_NAME = r"^[a-z][a-z0-9_]{0,62}$"
"""The pattern of what a model may be called."""
DRILL_MODEL = "understudy_drill"
"""The slot at the gateways in which rollback drills ship their bad models; no declared model may use it."""
DURATION = re.compile(r"^(\d{1,6})(s|m|h|d|w)$")
SECONDS_PER = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration(value: Any) -> Any:
    """Read ``45s``, ``90m``, ``12h``, ``30d`` or ``2w``; raise ValueError for any other text."""
    if isinstance(value, timedelta):
        return value
    match = DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{value!r} is not a duration; write a whole number and a unit, for example 45s, 90m, 12h or 30d"
        )
    return timedelta(seconds=int(match[1]) * SECONDS_PER[match[2]])


def format_duration(value: timedelta) -> str:
    """Write a duration in its largest whole unit."""
    seconds = int(value.total_seconds())
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % SECONDS_PER[unit] == 0:
            return f"{seconds // SECONDS_PER[unit]}{unit}"
    return f"{seconds}s"


def format_moment(moment: datetime | None) -> str | None:
    """Write a moment as ISO 8601."""
    return moment.isoformat() if moment else None


def read_moment(text: object) -> datetime | None:
    """Read what :func:`format_moment` wrote; a time without a zone is UTC, and what is no text is no moment."""
    if not isinstance(text, str):
        return None
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION.pattern, "examples": ["30d", "12h"]}),
]


def positive(value: timedelta) -> timedelta:
    """Refuse no time at all."""
    if not value:
        raise ValueError("must be longer than nothing; write for example 45s, 90m, 12h or 30d")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(positive)]


class Declared(BaseModel):
    """Be something a person wrote down: frozen and closed, so that a typo is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Fact(BaseModel):
    """Be something that was measured or decided: frozen and closed; NaN may arrive and is never usable."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


def canonical_json(value: Any) -> bytes:
    """Serialise JSON values so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_of(value: Any) -> str:
    """Digest a JSON value by its canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
