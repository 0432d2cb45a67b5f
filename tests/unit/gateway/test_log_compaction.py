"""Compaction and retention: nothing is hidden, lost or doubled, and the oldest goes first."""

import fcntl
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.segment import NOON, a_row, label, write
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.log import read as reading
from understudy.gateway.log.compact import CompactionRunning, compact
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.labels import Label
from understudy.gateway.log.line import seal
from understudy.gateway.log.manifest import manifests_in
from understudy.gateway.log.read import read, read_log
from understudy.gateway.log.retention import retain
from understudy.gateway.log.segment import segments_in


def test_compaction_makes_a_file_for_each_day_and_version_and_changes_nothing(tmp_path: Path) -> None:
    rows = [
        a_row(f"{day}-{version}", at=NOON + timedelta(days=day), version=version)
        for day in (0, 1)
        for version in (1, 2)
    ]
    lost = rows[0]._replace(request_id="lost", answer=None, loss=MirrorLoss.TIMEOUT, role=Role.SHADOW)
    write(tmp_path, *rows, lost)
    before = read(tmp_path)
    done = compact(tmp_path)
    assert (done.segments, done.rows) == (1, 5)
    assert sorted(str(path.parent.relative_to(tmp_path / "parquet")) for path in tmp_path.rglob("*.parquet")) == [
        "2024-03-01/version-1",
        "2024-03-01/version-2",
        "2024-03-02/version-1",
        "2024-03-02/version-2",
    ]
    assert read(tmp_path).select(before.columns).equals(before)
    assert compact(tmp_path).segments == 0
    assert read(tmp_path).select(before.columns).equals(before)


def test_parquet_is_what_others_read(tmp_path: Path) -> None:
    import pandas as pd
    import polars as pl

    write(tmp_path, *(a_row(f"r{number}") for number in range(5)))
    compact(tmp_path)
    (path,) = tmp_path.rglob("*.parquet")
    assert pd.read_parquet(path)["x_x"].to_list() == [1.5] * 5
    assert pd.read_parquet(tmp_path / "parquet")["version"].to_list() == [1] * 5
    assert pl.scan_parquet(tmp_path / "parquet" / "**" / "*.parquet").collect().height == 5


def test_the_segment_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    open_segment = write(tmp_path, a_row("a"), close=False)
    assert compact(tmp_path).segments == 0
    open_segment.write(Encoder(()).line(a_row("b")))
    open_segment.close()
    assert compact(tmp_path).rows == 2


@pytest.mark.parametrize("step", ["segments_in", "manifests_in", "Lines"])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_compaction_between_any_two_looks_of_a_reader_hides_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, is_after: bool
) -> None:
    write(tmp_path, a_row("a"), a_row("b"))
    real, first = getattr(reading, step), iter([True])

    def interrupted(*given: Any) -> Any:
        found = real(*given) if is_after else None
        if next(first, False):
            assert compact(tmp_path).rows == 2
        return found if is_after else real(*given)

    monkeypatch.setattr(reading, step, interrupted)
    assert read(tmp_path)["request_id"].to_list() == ["a", "b"]


def test_a_compaction_does_not_take_a_segment_that_is_just_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, first = fcntl.flock, iter([True])

    def interrupted(file: int, how: int) -> None:
        if next(first, False):
            compact(tmp_path)
        real(file, how)

    monkeypatch.setattr("understudy.gateway.log.segment.fcntl.flock", interrupted)
    write(tmp_path, a_row("a"))
    assert read(tmp_path)["request_id"].to_list() == ["a"]


def test_a_damaged_line_is_counted_after_compaction_too(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a")).path
    with path.open("ab") as file:
        file.write(b"rubbish\n" + seal(b'{"schema":1,"kind":"lost","ts_ns":1,"count":4}') + b'{"crc":"half a li')
    assert (compact(tmp_path).damaged, read_log(tmp_path).accounts) == (2, (4, 2))


class _Killed(BaseException):
    """End a process where it stands."""


STEPS = ("fsync", "rename", "unlink")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_after", [False, True])
def test_a_compaction_killed_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, is_after: bool
) -> None:
    names = [f"{segment}-{number}" for segment in range(3) for number in range(4)]
    survived = 0
    for moment in range(40):
        folder = tmp_path / str(moment)
        for segment in range(3):
            rows = [a_row(f"{segment}-{number}", version=1 + number % 2) for number in range(4)]
            write(folder, *rows, at=NOON + timedelta(seconds=segment))
        with monkeypatch.context() as patch:
            _kill_at(patch, step, moment, is_after=is_after)
            try:
                compact(folder)
            except _Killed:
                survived += 1
            else:
                break
        assert sorted(read(folder)["request_id"].to_list()) == names
        compact(folder)
        assert sorted(read(folder)["request_id"].to_list()) == names
        assert not segments_in(folder / "segments")
        assert len(list((folder / "parquet").rglob("*.*"))) == 2
    assert survived >= 3
    assert sorted(read(folder)["request_id"].to_list()) == names


def _kill_at(patch: pytest.MonkeyPatch, step: str, moment: int, *, is_after: bool) -> None:
    real, calls = getattr(os, step), iter(range(1_000))

    def killed(*given: Any, **named: Any) -> Any:
        if next(calls) != moment:
            return real(*given, **named)
        if is_after:
            real(*given, **named)
        raise _Killed

    patch.setattr(os, step, killed)


def test_two_compactions_at_once_are_one(tmp_path: Path) -> None:
    write(tmp_path, a_row("a"))
    other = os.open(tmp_path / "compacting", os.O_CREAT | os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(CompactionRunning, match="Wait"):
        compact(tmp_path)
    os.close(other)
    assert compact(tmp_path).rows == 1


def test_what_is_too_old_is_deleted_wherever_it_is(tmp_path: Path) -> None:
    write(tmp_path, a_row("old"), at=NOON)
    compact(tmp_path)
    write(tmp_path, a_row("also old"), at=NOON + timedelta(seconds=1))
    label(tmp_path, Label("old", None, 0, 1, 1), at=NOON + timedelta(seconds=1))
    later = NOON + timedelta(days=8)
    write(tmp_path, a_row("new", at=later), at=later)
    assert retain(tmp_path, keep_s=7 * 86_400, max_bytes=1 << 30, now=later) == 3
    assert read(tmp_path)["request_id"].to_list() == ["new"]
    assert manifests_in(tmp_path) == {}


def test_beyond_its_disk_the_oldest_goes_first_and_what_is_being_written_stays(tmp_path: Path) -> None:
    for second in range(5):
        write(tmp_path, *(a_row(f"{second}-{n}") for n in range(20)), at=NOON + timedelta(seconds=second))
    size = segments_in(tmp_path / "segments")[0].stat().st_size
    current = write(tmp_path, a_row("now"), at=NOON + timedelta(seconds=9), close=False)
    retain(tmp_path, keep_s=1e9, max_bytes=3 * size, now=NOON)
    assert [path.name[9:15] for path in segments_in(tmp_path / "segments")] == ["120003", "120004", "120009"]
    retain(tmp_path, keep_s=1e9, max_bytes=0, now=NOON)
    assert segments_in(tmp_path / "segments") == [current.path]
    current.close()


def test_the_gateway_imports_no_data_frames_with_its_log() -> None:
    code = "import sys; import understudy.gateway.log.compact, understudy.gateway.log.evidence; print(*sys.modules)"
    library = Path(__file__).resolve().parents[3] / "plugins"
    environment = {**os.environ, "PYTHONPATH": str(library)}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert {"polars", "pandas", "numpy", "pyarrow", "sklearn"}.isdisjoint(loaded.stdout.split())
