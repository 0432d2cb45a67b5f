"""Rows for a prediction log, and the log."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.line import Lines
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.log.segment import segments_in

BUNDLE = Bundle(
    model="m",
    version=3,
    model_sha256="a" * 64,
    image_digest="sha256:b",
    code_commit="c",
    spec_sha256="d",
    data_version="e",
    run="r",
    reference_data="e",
)
BODY = b'{"dataframe_split":{"columns":["x"],"data":[[1.5]]}}'


def a_row(number: int, body: bytes = BODY, *, status: int = 200, loss: MirrorLoss | None = None) -> LogRow:
    output = orjson.dumps({"predictions": [number], "probabilities": None}) if status == 200 else b""
    answer = None if loss else Answer(status, b"{}", 1, output, 250, 1, None if status == 200 else "Refused")
    return LogRow(
        f"r{number}",
        "caller",
        time.time_ns(),
        7,
        Role.SHADOW if loss else Role.CHAMPION,
        BUNDLE,
        Item(Wire.MLFLOW_JSON, body),
        answer,
        loss,
        10,
        900,
    )


def a_log(folder: Path, *, strict: bool = False, max_bytes: int = 1 << 30) -> PredictionLog:
    return PredictionLog(folder, pii=(), strict=strict, keep_s=1e7, max_bytes=max_bytes)


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.01)


def lines_of(folder: Path) -> list[dict[str, object]]:
    return [facts for path in segments_in(folder / "segments") for facts in Lines(path)]
