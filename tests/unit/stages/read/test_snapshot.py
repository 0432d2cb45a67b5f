"""Snapshots of good sources: every format and encoding, windows, order, increments, and equal bytes for equal rows."""

import gzip
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import create_engine, text

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import SnapshotReport
from understudy.contract.stage import StageRequest, digest_file
from understudy.stages import Refused, StageContext
from understudy.stages.snapshot import run

ROWS = [
    ("2026-01-03 00:00:00", 3, "a"),
    ("2026-01-01 00:00:00", 1, "b"),
    ("2026-01-02 00:00:00", 2, "a"),
    ("2026-01-02 00:00:00", 9, "b"),
]
CSV = "at,x,y\n" + "".join(f"{at},{x},{y}\n" for at, x, y in ROWS)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


def snapshot(
    folder: Path,
    files: dict[str, bytes | str],
    data: dict[str, Any] | None = None,
    *,
    checks: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    previous: Path | None = None,
    **params: Any,
) -> tuple[SnapshotReport, pl.DataFrame]:
    declared = {"source": "window.csv", "target": "y", "time": "at", **(data or {})}
    spec = ModelSpec.model_validate(
        {
            "model": "m",
            "owner": "o",
            "task": "binary_classification",
            "gates": [{"metric": "roc_auc"}],
            "checks": checks or {},
            "data": {key: value for key, value in declared.items() if value is not None},
            "split": {"method": "time" if declared["time"] else "random"},
        }
    )
    inputs = {}
    for index, (name, content) in enumerate(files.items()):
        key = f"source-{index}{''.join(Path(name).suffixes)}"
        inputs[key] = folder / key
        inputs[key].write_bytes(content if isinstance(content, bytes) else content.encode())
    params.setdefault("sources", {key: name for key, name in zip(inputs, files, strict=True)})
    outputs = folder / "outputs"
    outputs.mkdir(exist_ok=True)
    if previous is not None:
        inputs["previous.parquet"] = previous
    request = StageRequest(
        stage="snapshot", model="m", run="r", as_of=utc(2026, 2, 1), spec=spec.model_dump(mode="json"), params=params
    )
    answer = run(StageContext(request, inputs, outputs, secrets or {}))
    assert isinstance(answer.report, SnapshotReport)
    undated = ["undated.parquet"] if "undated" in answer.outputs else []
    assert sorted(path.name for path in outputs.iterdir()) == ["data.parquet", *undated]
    return answer.report, pl.read_parquet(answer.outputs["data"])


def test_rows_are_dated_in_utc_and_sorted_stably(tmp_path: Path) -> None:
    report, table = snapshot(tmp_path, {"window.csv": CSV})
    assert table["x"].to_list() == [1, 2, 9, 3]
    assert table["at"][0] == utc(2026, 1, 1)
    assert (report.rows, report.new_rows, report.start, report.end) == (4, 4, utc(2026, 1, 1), utc(2026, 1, 3))
    assert report.sources["window.csv"] == digest_file(tmp_path / "source-0.csv")
    assert report.rows_outside_window == 0


def test_the_window_includes_its_start_and_excludes_its_end(tmp_path: Path) -> None:
    report, table = snapshot(
        tmp_path, {"window.csv": CSV}, start="2026-01-01T00:00:00+00:00", end="2026-01-03T00:00:00Z"
    )
    assert table["x"].to_list() == [1, 2, 9]
    assert report.rows_outside_window == 1


@pytest.mark.parametrize(
    ("name", "content", "data"),
    [
        ("semicolons.csv", CSV.replace(",", ";"), {}),
        ("tabs.tsv", CSV.replace(",", "\t"), {}),
        ("bars.csv", CSV.replace(",", "|"), {"delimiter": "|"}),
        ("windows.csv", CSV.replace("\n", "\r\n"), {}),
        ("marked.csv", "\ufeff" + CSV, {}),
        ("packed.csv.gz", gzip.compress(CSV.encode(), mtime=0), {}),
        ("latin.csv", CSV.encode("latin-1"), {"encoding": "latin-1"}),
        ("wide.csv", CSV.encode("utf-16"), {"encoding": "utf-16"}),
        ("blank.csv", CSV.replace("a\n", "a\n\n"), {}),
        ("no-last-line-end.csv", CSV.rstrip("\n"), {}),
        ("no-ending", CSV, {}),
    ],
)
def test_every_dialect_gives_the_same_file(
    tmp_path: Path, name: str, content: bytes | str, data: dict[str, Any]
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    snapshot(plain, {"window.csv": CSV})
    snapshot(tmp_path, {name: content}, data)
    assert digest_file(tmp_path / "outputs" / "data.parquet") == digest_file(plain / "outputs" / "data.parquet")


def test_quoted_delimiters_and_line_ends_are_content(tmp_path: Path) -> None:
    rows = 'at,x,y,note\n2026-01-01,1,a,"one, two"\n2026-01-02,2,b,"three\nfour"\n2026-01-03,3,a,\n'
    _, table = snapshot(tmp_path, {"window.csv": rows})
    assert table["note"].to_list() == ["one, two", "three\nfour", None]


def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"at": [utc(2026, 1, 2), utc(2026, 1, 1)], "x": [1.5, None], "y": ["a", "?"]})
    frame.write_parquet(tmp_path / "made.parquet")
    _, table = snapshot(tmp_path, {"window.parquet": (tmp_path / "made.parquet").read_bytes()}, {"nulls": ["?"]})
    assert table["x"].to_list() == [None, 1.5]
    assert table["y"].to_list() == [None, "a"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00"], utc(2026, 1, 2, 3, 4, 5)),
        (["2026-01-02 03:04", "2026-01-02 03:05"], utc(2026, 1, 2, 3, 4)),
        (["02.01.2026", "13.01.2026"], utc(2026, 1, 2)),
        (["01/13/2026", "01/14/2026"], utc(2026, 1, 13)),
        (["20260102", "20260103"], utc(2026, 1, 2)),
        (["1767323045", "1767323046"], utc(2026, 1, 2, 3, 4, 5)),
        (["1767323045000", "1767323046000"], utc(2026, 1, 2, 3, 4, 5)),
        (["20260102030405", "20260103030405"], utc(2026, 1, 2, 3, 4, 5)),
        (["202601020304", "202601030304"], utc(2026, 1, 2, 3, 4)),
    ],
)
def test_times_are_read_as_they_are_commonly_written(tmp_path: Path, values: list[str], expected: datetime) -> None:
    _, table = snapshot(tmp_path, {"window.csv": "at,y\n" + "".join(f"{at},a\n" for at in values)})
    assert table["at"][0] == expected


@pytest.mark.parametrize("kind", [pl.Int32, pl.UInt32, pl.Float64])
def test_seconds_since_1970_mean_the_same_whatever_their_type(tmp_path: Path, kind: type[pl.DataType]) -> None:
    at = pl.Series("at", [1767323045, 1767409445], dtype=kind)
    pl.DataFrame({"at": at, "y": ["a", "b"]}).write_parquet(tmp_path / "made.parquet")
    _, table = snapshot(tmp_path, {"window.parquet": (tmp_path / "made.parquet").read_bytes()})
    assert table["at"].to_list() == [utc(2026, 1, 2, 3, 4, 5), utc(2026, 1, 3, 3, 4, 5)]


@pytest.mark.parametrize("values", [["05/01/26", "25/01/26"], ["05.01.26", "25.01.26"], ["1/13/26", "1/14/26"]])
def test_a_year_of_two_digits_is_never_guessed(tmp_path: Path, values: list[str]) -> None:
    with pytest.raises(Refused, match=r"are not times, for example .* with %y for years of two digits"):
        snapshot(tmp_path, {"window.csv": "at,y\n" + "".join(f"{at},a\n" for at in values)})


def test_a_declared_time_format_wins(tmp_path: Path) -> None:
    _, table = snapshot(tmp_path, {"window.csv": "at,y\n010226 07,a\n020226 08,b\n"}, {"time_format": "%d%m%y %H"})
    assert table.height == 2


def test_several_files_become_one_window_whatever_their_column_order(tmp_path: Path) -> None:
    report, table = snapshot(tmp_path, {"a.csv": "at,x,y\n2026-01-02,2,a\n", "b.csv": "y,at,x\nb,2026-01-01,1.5\n"})
    assert table.columns == ["at", "x", "y"]
    assert table["x"].to_list() == [1.5, 2.0]
    assert sorted(report.sources) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("other", ["at,x,z,y\n", "at,x,z,y\n2026-01-03,,,a\n"])
def test_a_file_without_a_value_in_a_column_leaves_its_type_alone(tmp_path: Path, other: str) -> None:
    _, table = snapshot(tmp_path, {"a.csv": other, "b.csv": "at,x,z,y\n2026-01-01,2,,a\n2026-01-02,3,,b\n"})
    assert dict(table.select("x", "z").schema) == {"x": pl.Int64, "z": pl.String}
    assert table["x"].sum() == 5


def test_a_column_of_numbers_here_and_texts_there_is_refused_unless_declared_as_text(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"a.csv": "at,zip,y\n2026-01-01,02134,a\n", "b.csv": "at,zip,y\n2026-01-02,K1A,b\n"}
    with pytest.raises(Refused, match=r"'zip' holds texts in b\.csv and whole numbers in a\.csv; .*zip\.type: text"):
        snapshot(tmp_path, files)
    _, table = snapshot(tmp_path, files, checks={"columns": {"zip": {"type": "text"}}})
    assert table["zip"].to_list() == ["02134", "K1A"]


def test_decimals_are_numbers_and_those_too_large_are_codes(tmp_path: Path) -> None:
    made = pl.DataFrame(
        {
            "at": [utc(2026, 1, 1), utc(2026, 1, 2)],
            "price": pl.Series(["1.50", "2.25"]).str.to_decimal(scale=2),
            "key": pl.Series(["9007199254740993", None]).str.to_decimal(scale=0),
            "code": pl.Series(["9" * 22, "1"]).str.to_decimal(scale=0),
            "y": ["a", "b"],
        }
    )
    made.write_parquet(tmp_path / "made.parquet")
    _, table = snapshot(tmp_path, {"window.parquet": (tmp_path / "made.parquet").read_bytes()})
    assert table.select("price", "key", "code").to_dict(as_series=False) == {
        "price": [1.5, 2.25],
        "key": [9007199254740993, None],
        "code": ["9" * 22, "1"],
    }


def test_a_type_that_changes_late_in_the_file_is_seen(tmp_path: Path) -> None:
    rows = "".join(f"2026-01-01,{value},a\n" for value in [*range(12_000), "1.5"])
    _, table = snapshot(tmp_path, {"window.csv": f"at,x,y\n{rows}"})
    assert table["x"][-1] == 1.5


def test_declared_text_keeps_its_leading_zeros(tmp_path: Path) -> None:
    _, table = snapshot(
        tmp_path,
        {"window.csv": "at,zip,y\n2026-01-01,00123,a\n2026-01-02,04567,b\n"},
        checks={"columns": {"zip": {"type": "text"}}},
    )
    assert table["zip"].to_list() == ["00123", "04567"]


@pytest.mark.parametrize("missing", ["nan", "NaN", ""])
def test_numbers_are_numbers_where_they_are_padded_or_some_are_no_number(tmp_path: Path, missing: str) -> None:
    rows = f"2026-01-01,    1.50,{missing},a\n2026-01-02,   10.25,2,b\n2026-01-03,    -inf,3.5,b\n"
    _, table = snapshot(tmp_path, {"window.csv": f"at,x,z,y\n{rows}"})
    assert table["x"].to_list() == [1.5, 10.25, float("-inf")]
    assert table["z"].to_list() == [None, 2, 3.5]


def test_undated_rows_keep_their_order(tmp_path: Path) -> None:
    report, table = snapshot(tmp_path, {"window.csv": "x,y\n3,a\n1,b\n"}, {"time": None})
    assert table["x"].to_list() == [3, 1]
    assert report.start is None


def test_an_increment_keeps_the_old_rows_and_appends_newer_ones_inside_the_window(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    snapshot(first, {"window.csv": "at,x,y\n2026-01-01,1,a\n2026-01-02,2,b\n2026-01-03,3,b\n"})
    changed = "at,x,y\n2026-01-02,77,a\n2026-01-03,88,b\n2026-01-04,4,a\n"
    report, table = snapshot(
        second,
        {"window.csv": changed},
        {"incremental": True, "key": ["at"]},
        start="2026-01-02",
        previous=first / "outputs" / "data.parquet",
    )
    assert table["x"].to_list() == [2, 3, 4]
    assert (report.rows, report.new_rows) == (3, 1)


def test_an_increment_completes_a_day_that_was_half_written_when_it_was_read(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    half = "at,x,y\n2026-01-01,1,a\n2026-01-02,2,a\n2026-01-02,2,a\n2026-01-02,3,b\n"
    snapshot(first, {"window.csv": half}, {"incremental": True})
    whole = f"{half}2026-01-02,2,a\n2026-01-02,4.5,b\n2026-01-03,5,b\n"
    report, table = snapshot(
        second, {"window.csv": whole}, {"incremental": True}, previous=first / "outputs" / "data.parquet"
    )
    assert table["x"].to_list() == [1, 2, 2, 3, 2, 4.5, 5]
    assert (report.rows, report.new_rows) == (7, 3)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM sales WHERE at >= :start AND at < :end",
        "SELECT * FROM sales WHERE at >= '{start}' AND at < {end}",
    ],
)
def test_a_query_is_bound_to_the_window(tmp_path: Path, query: str) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE sales (at TEXT, x REAL, y TEXT)"))
        connection.execute(
            text("INSERT INTO sales VALUES (:at, :x, :y)"), [{"at": at, "x": x, "y": y} for at, x, y in ROWS]
        )
    engine.dispose()
    report, table = snapshot(
        tmp_path,
        {},
        {"source": None, "query": query, "connection": "shop"},
        secrets={"connection_url": url},
        start="2026-01-01",
        end="2026-01-03",
    )
    assert table["x"].to_list() == [1.0, 2.0, 9.0]
    assert report.rows_outside_window == 0


def test_texts_among_numbers_are_read_from_a_database_as_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "understudy.stages.read.read_query.BATCH_ROWS", 2
    )  # a batch may hold numbers only, or texts only
    read = {"time": None, "nulls": ["", "?"]}
    query = {"source": None, "query": "SELECT * FROM t", "connection": "shop"}
    columns: dict[str, list[Any]] = {
        "padded": [1, " 2", 3, 4, 5],
        "missing": [1.5, "?", "", 2.5, "nan"],
        "odd": [1, 2, "x", 4, 5],
        "code": [1, 2, " 3", 4, 5],
        "y": ["a", "b", "a", "b", "a"],
    }
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE t ({', '.join(columns)})"))
        values = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        connection.execute(text(f"INSERT INTO t VALUES ({', '.join(f':{c}' for c in columns)})"), values)
    engine.dispose()
    written = "\n".join(",".join(map(str, row)) for row in [columns, *zip(*columns.values(), strict=True)])
    for folder in (in_database := tmp_path / "database", in_file := tmp_path / "file"):
        folder.mkdir()
    checks = {"columns": {"code": {"type": "text"}}}
    _, of_database = snapshot(in_database, {}, {**read, **query}, checks=checks, secrets={"connection_url": url})
    _, of_file = snapshot(in_file, {"w.csv": written}, read, checks=checks)
    assert of_database.equals(of_file)
    assert of_database.dtypes == [pl.Int64, pl.Float64, pl.String, pl.String, pl.String]


def test_colons_in_a_query_are_no_parameters(tmp_path: Path) -> None:
    query = (
        """SELECT '2026-01-01' AS at, ' :noon' AS a, '{"b":1}' AS b, 'a' AS y UNION SELECT '2026-01-02', '', '', 'b'"""
    )
    _, table = snapshot(
        tmp_path, {}, {"source": None, "query": query, "connection": "shop"}, secrets={"connection_url": "sqlite://"}
    )
    assert table.row(0)[1:] == (" :noon", '{"b":1}', "a")


def test_a_look_takes_rows_whose_labels_have_not_come_and_counts_the_new_ones(tmp_path: Path) -> None:
    rows = "at,x,y\n2026-01-01,1,a\n2026-01-02,2,b\n2026-01-03,3,a\n2026-01-04,4,\n"
    asked: dict[str, Any] = {"labels": "optional", "start": "2026-01-03T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    report, table = snapshot(tmp_path, {"w.csv": rows}, **asked, labelled_since="2026-01-01T00:00:00Z")
    assert (report.rows, report.new_labels) == (2, 2), "labels are counted over the source, not over the window"
    assert table["y"].to_list() == ["a", None]


def test_a_look_needs_no_label_at_all(tmp_path: Path) -> None:
    report, _ = snapshot(tmp_path, {"w.csv": "at,x\n2026-01-01,1\n2026-01-02,2\n"}, labels="optional")
    assert (report.rows, report.new_labels) == (2, 0)


@pytest.mark.parametrize(
    ("asked", "way_out"),
    [({}, "Widen data.window, shorten data.label_delay or"), ({"labels": "optional"}, "Widen monitor.window or")],
    ids=["retraining", "look"],
)
def test_an_empty_window_says_which_one_to_widen(tmp_path: Path, asked: dict[str, Any], way_out: str) -> None:
    span: dict[str, Any] = {"start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z"}
    with pytest.raises(Refused, match=way_out):
        snapshot(tmp_path, {"w.csv": "at,x,y\n2026-01-01,1,a\n2026-01-02,2,b\n"}, **span, **asked)


def test_the_few_rows_without_a_time_are_handed_on_as_they_stood_there(tmp_path: Path) -> None:
    good_rows = "".join(f"2026-01-{day:02d},{day},a\n" for day in range(1, 29))
    files: dict[str, bytes | str] = {
        "one.csv": f"at,x,y\n{good_rows}soon,29,b\n",
        "two.csv": f"at,x,y\n{good_rows},30,b\n",
    }
    report, table = snapshot(tmp_path, files, checks={"max_bad_share": 0.05})
    assert (report.rows, report.rows_without_time, table.height) == (56, 2, 56)
    undated = pl.read_parquet(tmp_path / "outputs" / "undated.parquet")
    assert undated.rows() == [("soon", 29, "b"), (None, 30, "b")]


def test_a_look_hands_on_rows_with_a_time_only(tmp_path: Path) -> None:
    rows = "at,x,y\n2026-01-01,1,a\n2026-01-02,2,b\nsoon,3,a\n"
    report, _ = snapshot(tmp_path, {"w.csv": rows}, checks={"max_bad_share": 0.5}, labels="optional")
    assert report.rows_without_time == 1
    assert not (tmp_path / "outputs" / "undated.parquet").exists()
