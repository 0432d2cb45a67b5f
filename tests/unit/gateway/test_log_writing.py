"""What the prediction log writes, and when it is on disk."""

import asyncio
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.unit.gateway.log_story import a_log, a_row, lines_of, until
from understudy.contract.words import MirrorLoss
from understudy.gateway.log import writer
from understudy.gateway.log.labels import Label
from understudy.gateway.log.prediction_log import LogUnwritable
from understudy.gateway.log.read import read
from understudy.gateway.log.segment import Segment, segments_in


def test_what_is_closed_has_lost_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        for number in range(500):
            assert log.append(a_row(number)) is None
        await log.close()
        assert log.health.model_dump() == {"written": 500, "lost": 0, "queued": 0, "lag_s": 0.0, "problem": None}

    asyncio.run(story())
    rows = read(tmp_path)
    assert rows["prediction"].sort().to_list() == list(range(500))
    assert rows["x_x"].to_list() == [1.5] * 500
    first = rows.row(0, named=True)
    assert (first["epoch"], first["role"], first["version"], first["client_id"]) == (7, "champion", 3, "caller")
    assert (first["artefact_sha256"], first["code_commit"], first["data_version"]) == ("a" * 64, "c", "e")
    assert (first["score_us"], first["queue_us"], first["total_us"], first["status"]) == (250, 10, 900, 200)


def test_a_strict_row_is_on_disk_when_it_is_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path, strict=True)
        for number in range(20):
            acknowledged = log.append(a_row(number))
            assert acknowledged is not None
            await acknowledged
            assert [line["request_id"] for line in lines_of(tmp_path)][-1] == f"r{number}"
        await log.close()

    asyncio.run(story())


def test_the_log_stops_at_nothing_that_one_row_can_be(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        log.append(a_row(0)._replace(client_id="\ud800"))  # no UTF-8 for it
        log.append(a_row(1))
        await log.close()
        assert (log.health.written, log.health.lost) == (1, 1)

    asyncio.run(story())


def test_what_is_too_old_is_deleted_where_nobody_asks_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETAIN_S", 0.0)
    monkeypatch.setattr(writer, "IDLE_S", 0.01)
    old = Segment(tmp_path / "segments", datetime(2020, 1, 1, tzinfo=timezone.utc))
    old.write(b"an old line\n")

    async def story() -> None:
        log = a_log(tmp_path)
        old.close()
        await until(lambda: not old.path.exists())
        await log.close()

    asyncio.run(story())


def test_a_closed_log_takes_nothing_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path, strict=True)
        await log.close()
        refused = log.append(a_row(0))
        assert refused is not None
        with pytest.raises(LogUnwritable, match="closed"):
            await refused
        with pytest.raises(LogUnwritable, match="closed"):
            await log.append_labels([Label("r0", None, 0, 1, 5)])
        assert log.health.lost == 1

    asyncio.run(story())


def test_a_refused_body_is_kept_as_a_short_text_and_a_lost_copy_not_at_all(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        log.append(a_row(0, b'\xff{"broken\n' + b"x" * 10_000, status=400))
        log.append(a_row(1, b'{\n"inputs": {\r\n"x": [1, 2]}}'))
        log.append(a_row(2, b'{"inputs": {"x": [NaN]}}'))
        log.append(a_row(3, loss=MirrorLoss.QUEUE_FULL))
        await log.close()

    asyncio.run(story())
    refused, pretty, not_a_number, lost = lines_of(tmp_path)
    assert len(str(refused["input"])) <= 2048
    assert pretty["input"] == {"inputs": {"x": [1, 2]}}
    assert not_a_number["input"] == '{"inputs": {"x": [NaN]}}'
    assert (lost["input"], lost["output"], lost["loss"]) == (None, None, "queue_full")


def test_segments_are_plain_json_lines_for_everyone(tmp_path: Path) -> None:
    import pandas as pd
    import polars as pl

    async def story() -> None:
        log = a_log(tmp_path)
        for number in range(10):
            log.append(a_row(number))
        await until(lambda: log.health.written == 10)
        (path,) = segments_in(tmp_path / "segments")
        assert pd.read_json(path, lines=True)["request_id"].to_list() == [f"r{number}" for number in range(10)]
        assert pl.read_ndjson(path)["version"].to_list() == [3] * 10
        await log.close()

    asyncio.run(story())


def test_a_segment_is_followed_by_the_next_when_it_is_full(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path, max_bytes=100_000_000)
        size = 64 * 1024
        log._writer._rows_out._rotate_bytes = size
        for number in range(400):
            log.append(a_row(number))
            if number % 100 == 99:
                await until(lambda: log.health.queued == 0)
        await log.close()

    asyncio.run(story())
    assert len(segments_in(tmp_path / "segments")) >= 2
    assert read(tmp_path).height == 400
