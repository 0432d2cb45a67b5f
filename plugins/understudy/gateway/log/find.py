"""One logged request, by its identifier: what was asked, and what each version answered."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from understudy.contract.errors import UnderstudyError
from understudy.contract.words import Role
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.log.frame import FEATURE
from understudy.gateway.log.read import read

if TYPE_CHECKING:
    import polars as pl

WIRES = {wire.name.lower(): wire for wire in Wire}
ID_DIGITS = 32
AROUND = timedelta(seconds=1)


class NoSuchPrediction(UnderstudyError):
    """No log holds a request of that identifier."""

    def __init__(self, request_id: str, folder: Path) -> None:
        super().__init__(
            f"No prediction {request_id!r} is logged in {folder}. The identifier is in the answer's header "
            "X-Understudy-Request-Id; predictions are deleted after serving.keep_log, and each gateway has its own log."
        )


class Logged(NamedTuple):
    """Hold what the log keeps of one version's answer to one request."""

    request_id: str
    model: str
    role: Role
    version: int
    artefact_sha256: str
    at: datetime
    item: Item | None
    """The request again; None where the log does not keep all of it."""
    redacted: bool
    """Personal columns were left out."""
    status: int | None
    error: str | None
    predictions: list[Any]
    probabilities: list[list[float]] | None


def find(folder: Path, request_id: str) -> list[Logged]:
    """Find a request in the logs of all models below a folder, the version that answered the caller first.

    :raises NoSuchPrediction: where there is none.
    """
    import polars as pl

    since, until = _when(request_id)
    for log in sorted(folder.glob("*/")):
        rows = read(log, since, until).filter(pl.col("request_id") == request_id)
        if rows.height:
            # What a canary could not answer, the champion answered.
            given = rows.filter((pl.col("role") == Role.SHADOW.value) | pl.col("loss").is_null())
            parts = given.partition_by(["role", "version"], maintain_order=True)
            return sorted((_logged(part) for part in parts), key=lambda logged: logged.role is Role.SHADOW)
    raise NoSuchPrediction(request_id, folder)


def _when(request_id: str) -> tuple[datetime | None, datetime | None]:
    """Read from an identifier of ours when it was made; of others, nothing."""
    try:
        made = datetime.fromtimestamp(int(request_id[:16], 16) / 1e9, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None, None
    return (made - AROUND, made + AROUND) if len(request_id) == ID_DIGITS else (None, None)


def _logged(part: "pl.DataFrame") -> Logged:
    first = part.row(0, named=True)
    scored = part.filter(part["row"].is_not_null()).sort("row")
    has_all = scored.height > 0 and scored["probabilities"].null_count() == 0
    return Logged(
        request_id=first["request_id"],
        model=first["model"],
        role=Role(first["role"]),
        version=first["version"],
        artefact_sha256=first["artefact_sha256"],
        at=first["at"],
        item=_item(scored),
        redacted=first["redacted"],
        status=first["status"],
        error=first["error"],
        predictions=scored["prediction"].to_list(),
        probabilities=scored["probabilities"].to_list() if has_all else None,
    )


def _item(scored: "pl.DataFrame") -> Item | None:
    if not scored.height:
        return None
    raw = scored["input"][0]
    if raw is not None:
        return Item(WIRES[scored["wire"][0]], raw.encode())
    features = [name for name in scored.columns if name.startswith(FEATURE)]
    if not features:
        return None
    split = {"columns": [name.removeprefix(FEATURE) for name in features], "data": scored.select(features).rows()}
    return Item(Wire.MLFLOW_JSON, orjson.dumps({"dataframe_split": split}))
