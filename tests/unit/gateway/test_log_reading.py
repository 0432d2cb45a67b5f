import fcntl
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

from understudy.contract.release import Bundle
from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log import read as reading
from understudy.gateway.log.compact import CompactionRunning, compact
from understudy.gateway.log.encode import Encoder
from understudy.gateway.log.labels import Label, LabelsRefused, label_lines, parse_labels
from understudy.gateway.log.line import Lines, seal
from understudy.gateway.log.manifest import manifests_in
from understudy.gateway.log.read import read, read_log
from understudy.gateway.log.retention import retain
from understudy.gateway.log.segment import Segment, segments_in

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


def test_a_damaged_line_costs_itself_and_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a"), a_row("b"), a_row("c")).path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"1.5", b"2.5") + b"rubbish\n" + lines[2])
    log = read_log(tmp_path)
    assert log.rows["request_id"].to_list() == ["a", "c"]
    assert log.accounts.damaged == 2


def test_a_torn_tail_costs_itself(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a"), a_row("b")).path
    os.truncate(path, path.stat().st_size - 20)
    found = Lines(path)
    assert [facts["request_id"] for facts in found] == ["a"]
    assert (found.torn, found.damaged) == (1, 0)


def test_a_sealed_line_that_is_no_object_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path, a_row("a")).path
    with path.open("ab") as file:
        file.write(seal(b"{]}"))
    assert read_log(tmp_path).accounts.damaged == 1


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (Wire.MLFLOW_JSON, b'{"dataframe_split":{"columns":["x","k"],"data":[[1.5,"a"],[2.5,null]]}}'),
        (Wire.MLFLOW_JSON, b'{"dataframe_records":[{"x":1.5,"k":"a"},{"x":2.5}]}'),
        (Wire.MLFLOW_JSON, b'{"instances":[{"x":1.5,"k":"a"},{"x":2.5,"k":null}]}'),
        (Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5,2.5],"k":["a",null]}}'),
        (Wire.MLFLOW_CSV, b"x,k\n1.5,a\n2.5,\n"),
        (
            Wire.V2_JSON,
            b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP64","data":[1.5,2.5]},'
            b'{"name":"k","shape":[2,1],"datatype":"BYTES","data":[["a"],[null]]}]}',
        ),
    ],
)
def test_features_are_typed_columns_whatever_the_protocol(tmp_path: Path, wire: Wire, body: bytes) -> None:
    write(tmp_path, a_row("a", body, wire=wire, predictions=[0, 1]))
    for _ in range(2):  # from the segment, then from Parquet
        rows = read(tmp_path)
        assert rows["x_x"].to_list() == [1.5, 2.5]
        assert rows["x_k"].to_list() == ["a", None]
        assert rows["row"].to_list() == [0, 1]
        compact(tmp_path)


def test_a_matrix_without_names_gets_numbers(tmp_path: Path) -> None:
    body = b'{"inputs":[{"name":"in","shape":[2,2],"datatype":"FP64","data":[1,2,3,4]}]}'
    write(tmp_path, a_row("a", body, wire=Wire.V2_JSON, predictions=[0, 1]))
    rows = read(tmp_path)
    assert (rows["x_0"].to_list(), rows["x_1"].to_list()) == ([1, 3], [2, 4])
    assert rows["input"].to_list() == [body.decode()] * 2  # the columns' names are not known, so it is kept as it came


def test_values_of_different_kinds_are_kept_as_they_came(tmp_path: Path) -> None:
    bodies = [b'{"inputs":{"x":[1]}}', b'{"inputs":{"x":["one"]}}', b'{"inputs":{"x":[{"a":1}]}}']
    write(tmp_path, *(a_row(f"r{at}", body) for at, body in enumerate(bodies)))
    compact(tmp_path)
    rows = read(tmp_path)
    assert rows["x_x"].to_list() == ["1", '"one"', '{"a":1}']
    assert rows["input"].to_list() == [body.decode() for body in bodies]


def test_the_latest_label_counts_however_often_and_in_whatever_order(tmp_path: Path) -> None:
    write(tmp_path, a_row("a", client="order-1", predictions=[0, 1]), a_row("b"))
    batch = [Label("a", None, 0, 1, 20), Label("a", None, 1, 0, 20)]
    label(tmp_path, *batch)
    label(tmp_path, *batch, at=NOON + timedelta(seconds=1))
    label(tmp_path, Label("a", None, 0, 9, 10), Label(None, "order-1", 1, 7, 30), at=NOON + timedelta(seconds=2))
    rows = read(tmp_path)
    assert rows.select("request_id", "row", "label").rows() == [("a", 0, 1), ("a", 1, 7), ("b", 0, None)]


def test_a_label_that_comes_after_compaction_is_joined(tmp_path: Path) -> None:
    write(tmp_path, a_row("a"))
    compact(tmp_path)
    label(tmp_path, Label("a", None, 0, "up", 1))
    assert read(tmp_path)["label"].to_list() == ["up"]


def test_a_time_window_is_half_open(tmp_path: Path) -> None:
    write(tmp_path, *(a_row(f"r{hour}", at=NOON + timedelta(hours=hour)) for hour in range(4)))
    window = (NOON + timedelta(hours=1), NOON + timedelta(hours=3))
    assert read(tmp_path, *window)["request_id"].to_list() == ["r1", "r2"]
    compact(tmp_path)
    assert read(tmp_path, *window)["request_id"].to_list() == ["r1", "r2"]


def test_an_empty_log_is_an_empty_frame(tmp_path: Path) -> None:
    rows = read(tmp_path / "none")
    assert rows.height == 0
    assert {"request_id", "prediction", "label", "at"} <= set(rows.columns)


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


def test_a_batch_of_labels_is_read() -> None:
    before = time.time_ns()
    found = parse_labels(b'{"labels":[{"request_id":"a","label":1},{"client_id":"b","row":3,"label":"up"}]}')
    assert [(entry.request_id, entry.client_id, entry.row, entry.value) for entry in found] == [
        ("a", None, 0, 1),
        (None, "b", 3, "up"),
    ]
    assert found[0].ts_ns >= before


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"[1]", "no list"),
        (b'{"labels":[]}', "no list"),
        (b'{"labels":[1]}', "not an object"),
        (b'{"labels":[{"label":1}]}', "needs a request_id or a client_id"),
        (b'{"labels":[{"request_id":"a","client_id":"b","label":1}]}', "not both"),
        (b'{"labels":[{"request_id":"","label":1}]}', "1 to 200"),
        (b'{"labels":[{"request_id":"a"}]}', "label is not"),
        (b'{"labels":[{"request_id":"a","label":null}]}', "label is not"),
        (b'{"labels":[{"request_id":"a","label":[1]}]}', "label is not"),
        (b'{"labels":[{"request_id":"a","label":NaN}]}', "not JSON"),
        (b'{"labels":[{"request_id":"a","label":1,"row":-1}]}', "row is not"),
        (b'{"labels":[{"request_id":"a","label":1,"row":true}]}', "row is not"),
        (b'{"labels":[{"request_id":"a","label":1,"rwo":1}]}', "unknown field"),
        (b'{"labels":[' + b'{"request_id":"a","label":1},' * 100_000 + b'{"request_id":"a","label":1}]}', "more than"),
    ],
)
def test_a_batch_of_labels_with_a_mistake_is_refused_with_an_example(body: bytes, told: str) -> None:
    with pytest.raises(LabelsRefused, match=told) as refused:
        parse_labels(body)
    assert '"request_id"' in str(refused.value)
