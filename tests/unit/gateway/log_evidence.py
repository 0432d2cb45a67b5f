"""What a prediction log says, in one line each."""

from datetime import datetime, timezone
from typing import Any

import orjson

from tests.unit.gateway.segment import a_bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
ITEM = Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
BUNDLES = {version: a_bundle(version) for version in (1, 2, 3)}


def says(
    version: int,
    name: str,
    predictions: list[Any] | None = None,
    probabilities: list[Any] | None = None,
    *,
    role: Role | None = None,
    status: int = 200,
    loss: MirrorLoss | None = None,
    at: datetime = NOON,
    score_us: int = 250,
    batch: int = 1,
    classes: list[Any] | None = None,
) -> LogRow:
    output = {"predictions": predictions, "probabilities": probabilities}
    output |= {"classes": classes} if classes else {}
    answer = Answer(status, b"", 1, orjson.dumps(output) if predictions else b"", score_us, batch)
    role = role or (Role.CHAMPION if version == 1 else Role.SHADOW)
    ts_ns = int(at.timestamp()) * 10**9
    given = None if loss and status == 200 else answer
    return LogRow(name, None, ts_ns, 1, role, BUNDLES[version], ITEM, given, loss, 1, 1)
