"""Rows and labels of a prediction log, and the segments that they are written to."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from understudy.contract.release import Bundle
from understudy.contract.words import Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.labels import Label, label_lines
from understudy.gateway.log.segment import Segment

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)


def a_bundle(version: int) -> Bundle:
    return Bundle(
        model="m",
        version=version,
        model_sha256=f"{version}" * 64,
        image_digest="sha256:b",
        code_commit="c",
        spec_sha256="d",
        data_version="e",
        run="r",
        reference_data="e",
    )


def a_row(
    name: str,
    body: bytes = b'{"inputs":{"x":[1.5]}}',
    *,
    wire: Wire = Wire.MLFLOW_JSON,
    at: datetime = NOON,
    version: int = 1,
    predictions: list[Any] | None = None,
    client: str | None = None,
) -> LogRow:
    predictions = [1] if predictions is None else predictions
    output = orjson.dumps({"predictions": predictions, "probabilities": None})
    answer = Answer(200, b"{}", len(predictions), output, 250, 1)
    ts_ns = int(at.timestamp()) * 10**9
    return LogRow(name, client, ts_ns, 1, Role.CHAMPION, a_bundle(version), Item(wire, body), answer, None, 10, 900)


def write(folder: Path, *rows: LogRow, at: datetime = NOON, close: bool = True) -> Segment:
    segment = Segment(folder / "segments", at)
    encoder = Encoder(())
    for row in rows:
        segment.write(encoder.line(row))
    if close:
        segment.close()
    return segment


def label(folder: Path, *labels: Label, at: datetime = NOON) -> None:
    segment = Segment(folder / "labels", at)
    segment.write(label_lines(labels))
    segment.close()
