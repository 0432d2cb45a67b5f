import asyncio
import errno
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import orjson
import pytest

from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.confirm import confirm
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log import prediction_log, writer
from understudy.gateway.log.labels import Label
from understudy.gateway.log.line import Lines
from understudy.gateway.log.prediction_log import LogUnwritable, PredictionLog
from understudy.gateway.log.read import read, read_log
from understudy.gateway.log.segment import Segment, segments_in

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


class Disk:
    """Stand for the disk behind os.write and os.fsync."""

    def __init__(self, write: Callable[[int, memoryview], int], sync: Callable[[int], None]) -> None:
        self._write, self._sync = write, sync
        self.is_full = self.is_deaf = False
        self.first_bytes: int | None = None
        self.slow = threading.Event()
        self.slow.set()

    def write(self, file: int, data: memoryview) -> int:
        if self.first_bytes is not None:
            first, self.first_bytes, self.is_full = self.first_bytes, None, True
            return self._write(file, data[:first])
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(file, data)

    def sync(self, file: int) -> None:
        self.slow.wait(60)
        if self.is_deaf:
            raise OSError(errno.EIO, "Input/output error")
        self._sync(file)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk(os.write, confirm)
    monkeypatch.setattr("understudy.gateway.log.segment.os.write", found.write)
    monkeypatch.setattr("understudy.gateway.log.segment.confirm", found.sync)
    return found


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


def test_a_full_disk_costs_no_answer_and_nothing_that_fits_the_queue(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        log.append(a_row(0))
        await until(lambda: log.health.written == 1)
        disk.is_full = True
        for number in range(1, 50):
            log.append(a_row(number))
        await until(lambda: log.health.problem is not None)
        assert "No space left" in str(log.health.problem)
        disk.is_full = False
        await until(lambda: log.health.written == 50)
        await until(lambda: log.health.problem is None)
        await log.close()
        assert log.health.lost == 0

    asyncio.run(story())
    assert sorted(read(tmp_path)["prediction"].to_list()) == list(range(50))


def test_a_line_that_was_half_written_when_the_disk_filled_is_cut_off(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        disk.first_bytes = 100
        log.append(a_row(0))
        await until(lambda: log.health.problem is not None)
        assert all(path.stat().st_size == 0 for path in segments_in(tmp_path / "segments"))
        disk.is_full = False
        await until(lambda: log.health.written == 1)
        await log.close()

    asyncio.run(story())
    log = read_log(tmp_path)
    assert (log.rows.height, log.accounts.damaged) == (1, 0)


def test_a_group_that_was_half_written_is_not_logged_twice(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        log.append(a_row(0))
        await until(lambda: log.health.written == 1)
        disk.first_bytes = 2_000
        for number in range(1, 20):
            log.append(a_row(number))
        await until(lambda: log.health.problem is not None)
        disk.is_full = False
        await log.close()

    asyncio.run(story())
    assert sorted(read(tmp_path)["prediction"].to_list()) == list(range(20))


def test_what_the_queue_has_no_room_for_is_counted_and_the_log_says_so(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_log, "QUEUE_ROWS", 10)

    async def story() -> None:
        log = a_log(tmp_path)
        disk.is_full = True
        for number in range(25):
            log.append(a_row(number))
        assert (log.health.lost, log.health.queued) == (15, 10)
        disk.is_full = False
        await until(lambda: log.health.written == 10)
        await log.close()

    asyncio.run(story())
    log = read_log(tmp_path)
    assert (log.rows.height, log.accounts.lost) == (10, 15)


def test_the_queue_is_bounded_by_bytes_too(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_log, "QUEUE_BYTES", 10_000)

    async def story() -> None:
        log = a_log(tmp_path)
        disk.is_full = True
        for number in range(5):
            log.append(a_row(number, b'"' + b"x" * 4_000 + b'"'))
        assert log.health.lost == 3
        disk.is_full = False
        await log.close()
        assert log.health.written == 2

    asyncio.run(story())


def test_strict_refuses_what_it_cannot_write_and_recovers_by_itself(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        log = a_log(tmp_path, strict=True)
        disk.is_full = True
        refused = log.append(a_row(0))
        assert refused is not None
        with pytest.raises(LogUnwritable, match="No space left"):
            await refused
        disk.is_full = False
        await until(lambda: log.health.problem is None)
        accepted = log.append(a_row(1))
        assert accepted is not None
        await accepted
        await log.close()
        assert (log.health.written, log.health.lost) == (1, 1)

    asyncio.run(story())
    log = read_log(tmp_path)
    assert (log.rows["prediction"].to_list(), log.accounts.lost) == ([1], 1)


def test_a_disk_that_confirms_nothing_is_a_problem_but_no_row_is_doubled(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        disk.is_deaf = True
        log.append(a_row(0))
        await until(lambda: log.health.problem is not None)
        disk.is_deaf = False
        log.append(a_row(1))
        await until(lambda: log.health.problem is None)
        await log.close()

    asyncio.run(story())
    assert sorted(read(tmp_path)["prediction"].to_list()) == [0, 1]


def test_a_disk_that_does_not_answer_is_noticed(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SLOW_S", 0.05)

    async def story() -> None:
        log = a_log(tmp_path)
        disk.slow.clear()
        log.append(a_row(0))
        await until(lambda: "has not answered" in str(log.health.problem))
        for number in range(1, 100):
            log.append(a_row(number))  # goes on without the disk
        disk.slow.set()
        await log.close()
        assert log.health.written == 100

    asyncio.run(story())


def test_a_folder_that_cannot_be_made_is_a_problem_until_it_can(tmp_path: Path) -> None:
    in_the_way = tmp_path / "m"
    in_the_way.write_text("a file")

    async def story() -> None:
        log = a_log(in_the_way)
        log.append(a_row(0))
        await until(lambda: log.health.problem is not None)
        in_the_way.unlink()
        await until(lambda: log.health.written == 1)
        await log.close()

    asyncio.run(story())
    assert read(in_the_way).height == 1


@pytest.fixture
def small_files() -> Iterator[None]:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("small_files")
def test_a_real_limit_on_files_tears_no_line(tmp_path: Path) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        for number in range(150):
            log.append(a_row(number, orjson.dumps({"inputs": {"x": ["y" * 2_000]}})))
            if number % 20 == 0:
                await until(lambda: not log.health.queued or log.health.problem is not None)
        await log.close()
        counted.append((log.health.written, log.health.lost))

    counted: list[tuple[int, int]] = []
    asyncio.run(story())
    log = read_log(tmp_path)
    assert sum(counted[0]) == 150
    assert log.rows.height == counted[0][0]
    assert log.rows["request_id"].is_unique().all()
    assert log.accounts.damaged == 0


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


def test_labels_are_on_disk_when_they_are_acknowledged(tmp_path: Path, disk: Disk) -> None:
    async def story() -> None:
        log = a_log(tmp_path)
        log.append(a_row(0))
        await log.append_labels([Label("r0", None, 0, 1, 5)])
        assert sum(1 for path in segments_in(tmp_path / "labels") for _ in Lines(path)) == 1
        disk.is_full = True
        with pytest.raises(LogUnwritable, match="No space left"):
            await log.append_labels([Label("r0", None, 0, 2, 6)])
        disk.is_full = False
        await log.close()

    asyncio.run(story())
    assert read(tmp_path)["label"].to_list() == [1]


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
