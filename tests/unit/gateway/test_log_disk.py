"""A disk that is full, slow, deaf or not there: answers go on, and what the log loses is counted."""

import asyncio
import errno
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tests.unit.gateway.log_story import a_log, a_row, until
from understudy.gateway.confirm import confirm
from understudy.gateway.log import prediction_log, writer
from understudy.gateway.log.labels import Label
from understudy.gateway.log.line import Lines
from understudy.gateway.log.prediction_log import LogUnwritable
from understudy.gateway.log.read import read, read_log
from understudy.gateway.log.segment import segments_in


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
