"""Inference on small files, each made to show one thing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.unit.infer.small_file import ROWS, frame, infer
from understudy.contract.load import parse_spec
from understudy.contract.words import MlTask
from understudy.infer import infer_spec
from understudy.infer.errors import CannotInfer


def test_a_plain_file_becomes_a_complete_declaration(tmp_path: Path) -> None:
    inference, spec = infer(tmp_path, frame())
    assert (spec.model, spec.task, spec.data.source) == (
        "some_data",
        MlTask.BINARY,
        str((tmp_path / "some-data.csv").resolve()),
    )
    assert spec.checks.columns["x"].type == "number"
    assert spec.checks.columns["z"].max is not None
    assert spec.checks.columns["z"].max > 498
    assert "#" in inference.yaml
    assert infer(tmp_path, frame(), name="My Shop 2")[1].model == "my_shop_2"
    assert infer(tmp_path, frame(), name="2nd")[1].model == "model_2nd"


def test_a_file_whose_every_column_is_of_no_use_still_gives_a_declaration(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": range(ROWS), "b": [n % 2 for n in range(ROWS)]})
    assert infer(tmp_path, table, target="b", time=None)[1].checks.columns == {}


def test_the_same_file_gives_the_same_text(tmp_path: Path) -> None:
    assert infer(tmp_path, frame())[0] == infer(tmp_path, frame())[0]


def test_a_range_is_wider_than_the_quantiles_and_narrower_than_one_wild_value(tmp_path: Path) -> None:
    wild = frame().with_columns(x=pl.when(pl.col("at") == pl.col("at").min()).then(1e6).otherwise("x"))
    check = infer(tmp_path, wild)[1].checks.columns["x"]
    assert check.max is not None
    assert 99.6 < check.max < 1000


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("customer_id", range(10_000, 10_000 + ROWS), "is an id"),
        ("token", [f"t{n}" for n in range(ROWS)], "is an id"),
        ("version", ["v1"] * ROWS, "one value only"),
        ("empty", [None] * ROWS, "no value at all"),
        ("day", [f"2026-01-{1 + n % 28:02}" for n in range(ROWS)], "holds dates"),
    ],
)
def test_useless_columns_are_dropped_and_said_so(tmp_path: Path, column: str, values: object, reason: str) -> None:
    inference, spec = infer(tmp_path, frame(**{column: values}))
    assert column in spec.data.drop
    assert any(note.startswith(f"{column} ") and reason in note for note in inference.notes)


def test_many_columns_of_no_use_for_one_reason_are_told_in_one_note(tmp_path: Path) -> None:
    constant = {f"c{n}": [f"v{n}"] * ROWS for n in range(1200)}
    empty = {f"e{n}": [None] * ROWS for n in range(5)}
    inference, spec = infer(tmp_path, frame(**constant, **empty))
    assert set(spec.data.drop) == {*constant, *empty}
    assert [note for note in inference.notes if "one value only" in note] == [
        "c0 has one value only ('v0'), so nothing can be learnt from it. It is in data.drop. "
        "The same goes for c1, c2, c3, c4, c5 and 1,194 more."
    ]
    assert len([note for note in inference.notes if "no value at all" in note]) == 5
    assert all(f"- c{n}  # has one value only ('v{n}')" in inference.yaml for n in range(1200))


@pytest.mark.parametrize(
    ("names", "values", "said"),
    [
        ("x{}_email", ["a"] * ROWS, "(data.classes.pii)"),
        ("code{}", [f"0{n % 40 + 1000}" for n in range(ROWS)], "begin with a zero"),
        ("price{}", [f"{n % 40} EUR" for n in range(ROWS)], "with a unit"),
        ("odd{}", ["n.n." if n % 100 == 7 else str(n % 40) for n in range(ROWS)], "holds numbers but for"),
        ("far{}", [999 if n % 10 == 0 else n % 40 for n in range(ROWS)], "is 999 in"),
        ("copy{}", list(frame()["y"]), "alone predicts y"),
        ("after{}", [n * 31 % 40 for n in range(ROWS)], "may only be known afterwards"),
    ],
)
def test_each_kind_of_note_is_told_once_for_many_columns(
    tmp_path: Path, names: str, values: list[object], said: str
) -> None:
    few, many = ({names.format(n): values for n in range(count)} for count in (5, 8))
    assert len([note for note in infer(tmp_path, frame(**few))[0].notes if said in note]) == 5
    (told,) = (note for note in infer(tmp_path, frame(**many))[0].notes if said in note)
    named = ", ".join(names.format(n) for n in range(1, 6))
    assert told.startswith(f"{names.format(0)} ")
    assert told.endswith(f" The same goes for {named} and 2 more.")


def test_a_column_that_equals_the_target_is_a_leak(tmp_path: Path) -> None:
    table = frame().with_columns(copy=pl.when(pl.col("y") == 1).then(pl.lit("won")).otherwise(pl.lit("lost")))
    inference, spec = infer(tmp_path, table)
    assert spec.data.drop == ("copy",)
    assert any("copy alone predicts y" in note for note in inference.notes)


def test_personal_and_sensitive_columns_are_classed(tmp_path: Path) -> None:
    table = frame(
        contact=[f"p{n}@example.org" for n in range(ROWS)], phone=["1"] * ROWS, gender=["f", "m", "m"] * (ROWS // 3)
    )
    inference, spec = infer(tmp_path, table)
    assert (spec.data.classes.pii, spec.data.classes.sensitive) == (("contact", "phone"), ("gender",))
    assert spec.evaluate.fairness == ("gender",)
    assert "example.org" not in inference.yaml


def test_sentinels_become_nulls_unless_another_column_means_them(tmp_path: Path) -> None:
    holed = frame(w=[-999 if n % 10 == 0 else n % 50 for n in range(ROWS)])
    inference, spec = infer(tmp_path, holed)
    assert spec.data.nulls == ("", "-999")
    assert spec.checks.columns["w"].min == 0
    ordinary = frame(w=holed["w"], debt=[n - 1200 for n in range(ROWS)])
    inference, spec = infer(tmp_path, ordinary)
    assert spec.data.nulls == ("",)
    assert any("is an ordinary one elsewhere" in note for note in inference.notes)


def test_a_time_column_is_taken_when_none_is_given(tmp_path: Path) -> None:
    inference, spec = infer(tmp_path, frame().rename({"at": "created_at"}), time=None)
    assert spec.data.time == "created_at"
    assert any("No time column was given; created_at" in note for note in inference.notes)


def test_shuffled_and_repeated_times_are_noticed(tmp_path: Path) -> None:
    notes = " ".join(
        infer(tmp_path, frame().with_columns(pl.col("at").dt.truncate("2h")).sample(fraction=1, shuffle=True, seed=1))[
            0
        ].notes
    )
    assert "not in the order of at" in notes
    assert "300 rows (50.0%) have the same at" in notes


def test_an_ambiguous_date_is_settled_by_the_order_of_the_rows(tmp_path: Path) -> None:
    days = [f"{1 + n // 60:02}/{1 + n // 240:02}/2026" for n in range(ROWS)]
    _, spec = infer(tmp_path, frame().with_columns(at=pl.Series(days)))
    assert spec.data.time_format == "%d/%m/%Y"


@pytest.mark.parametrize("spelled", ["%d/%m/%y", "%m/%d/%Y %I:%M %p", "%d.%m.%y %H:%M", "%d-%b-%Y"])
def test_dates_that_no_run_would_guess_get_their_format_declared(tmp_path: Path, spelled: str) -> None:
    made = frame().with_columns(pl.col("at").dt.offset_by("15d"))
    inference, spec = infer(tmp_path, made.with_columns(pl.col("at").dt.to_string(spelled)), time=None)
    assert (spec.data.time, spec.data.time_format) == ("at", spelled)
    assert not any("not in the order" in note for note in inference.notes)


def test_other_encodings_and_delimiters_are_found(tmp_path: Path) -> None:
    table = frame(name=["café", "thé"] * (ROWS // 2))
    (tmp_path / "old.csv").write_bytes(table.write_csv(separator=";").encode("cp1252"))
    inference = infer_spec(tmp_path / "old.csv", "y", "at")
    assert (inference.spec["data"]["encoding"], inference.spec["data"]["delimiter"]) == ("cp1252", ";")


def comma(values: pl.Series) -> list[str]:
    return [f"{value:.1f}".replace(".", ",") for value in values]


def thousands(values: pl.Series, mark: str, decimal: str) -> list[str]:
    return [f"{1000 + value:,.1f}".replace(",", "M").replace(".", decimal).replace("M", mark) for value in values]


@pytest.mark.parametrize(
    ("separator", "written", "declared", "note"),
    [
        (";", comma, (",", ""), "x writes numbers with a comma before the decimals (0,0 is read as 0.0)"),
        (",", comma, (",", ""), "data.decimal says so"),
        (";", lambda x: thousands(x, ".", ","), (",", "."), "(1.000,0 is read as 1000.0); data.decimal and data.th"),
        (",", lambda x: thousands(x, ",", "."), (".", ","), "with a comma between the thousands"),
        (";", lambda x: thousands(x, "\u202f", ","), (",", " "), "a space between the thousands"),
        (",", lambda x: thousands(x, "'", "."), (".", "'"), "an apostrophe between the thousands"),
    ],
    ids=["decimal comma", "quoted", "continental", "English", "French", "Swiss"],
)
def test_numbers_that_are_written_otherwise_are_read_as_numbers(
    tmp_path: Path, separator: str, written: Callable[[pl.Series], list[str]], declared: tuple[str, str], note: str
) -> None:
    table = frame().with_columns(x=pl.Series(written(frame()["x"])))
    table.write_csv(tmp_path / "some-data.csv", separator=separator, datetime_format="%Y-%m-%d %H:%M:%S")
    inference = infer_spec(tmp_path / "some-data.csv", "y", "at")
    spec = parse_spec(inference.yaml, Path("model.yaml"))
    assert (spec.data.decimal, spec.data.thousands or "") == declared
    assert spec.data.drop == ()
    assert spec.checks.columns["x"].type == "number"
    assert any(note in said for said in inference.notes)


def test_a_missing_value_among_decimal_commas_is_found(tmp_path: Path) -> None:
    table = frame()
    holes = ["?" if n % 9 == 0 else text for n, text in enumerate(comma(table["x"]))]
    table.with_columns(x=pl.Series(holes)).write_csv(tmp_path / "some-data.csv", separator=";")
    spec = infer_spec(tmp_path / "some-data.csv", "y", "at").spec
    assert (spec["data"]["decimal"], spec["data"]["nulls"]) == (",", ["", "?"])
    assert spec["checks"]["columns"]["x"]["type"] == "number"


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("word", ["?", "-"])
@pytest.mark.parametrize(
    ("written", "kind"),
    [("{:.1f}", "number"), ("{:.3f}", "number"), ("{:.0f}", "integer")],
    ids=["decimals", "three decimals", "whole"],
)
def test_a_missing_value_among_plain_numbers_gives_them_no_marks(
    tmp_path: Path, separator: str, word: str, written: str, kind: str
) -> None:
    texts = [word if n % 9 == 0 else written.format(x - 50) for n, x in enumerate(frame()["x"])]
    table = frame().with_columns(x=pl.Series(texts), near=pl.Series([text.lstrip("-") or word for text in texts]))
    table.write_csv(tmp_path / "some-data.csv", separator=separator)
    inference = infer_spec(tmp_path / "some-data.csv", "y", "at")
    assert not {"decimal", "thousands"} & inference.spec["data"].keys()
    assert inference.spec["data"]["nulls"] == ["", word]
    check, near = (inference.spec["checks"]["columns"][column] for column in ("x", "near"))
    assert (check["type"], near["type"]) == (kind, kind)
    assert -75 < check["min"] < -50 < 49 < check["max"] < 75
    assert 49 < near["max"] < 75
    assert not any("numbers with" in note for note in inference.notes)


def test_a_missing_value_among_plain_numbers_stays_found_beside_a_decimal_comma(tmp_path: Path) -> None:
    plain = pl.Series(["?" if n % 9 == 0 else f"{z / 1000:.3f}" for n, z in enumerate(frame()["z"])])
    flag = pl.Series(["?" if n % 9 == 0 else "true" if z > 50 else "false" for n, z in enumerate(frame()["z"])])
    table = frame().with_columns(z=plain, flag=flag, far=pl.Series(comma(frame()["x"])))
    table.write_csv(tmp_path / "some-data.csv", separator=";")
    inference = infer_spec(tmp_path / "some-data.csv", "y", "at")
    assert inference.spec["data"]["decimal"] == ","
    assert inference.spec["checks"]["columns"]["z"]["max"] < 1
    assert [note for note in inference.notes if "numbers with" in note] == [
        "far writes numbers with a comma before the decimals (0,0 is read as 0.0); data.decimal says so."
    ]


@pytest.mark.parametrize("word", ["", "?"])
def test_a_column_with_decimal_points_is_not_lost_to_another_with_points_between_thousands(
    tmp_path: Path, word: str
) -> None:
    holes = pl.Series([word if n % 9 == 0 else str(x) for n, x in enumerate(frame()["x"])])
    table = frame().with_columns(x=holes, far=pl.Series(thousands(frame()["z"], ".", ",")))
    table.write_csv(tmp_path / "some-data.csv", separator=";")
    spec = infer_spec(tmp_path / "some-data.csv", "y", "at").spec
    assert "thousands" not in spec["data"]
    assert spec["checks"]["columns"]["x"]["type"] == "number"


def test_a_number_with_a_decimal_comma_can_be_the_target(tmp_path: Path) -> None:
    table = frame().with_columns(x=pl.Series(comma(frame()["x"])))
    table.write_csv(tmp_path / "some-data.csv", separator=";")
    assert infer_spec(tmp_path / "some-data.csv", "x", "at").spec["task"] == "regression"


@pytest.mark.parametrize("unit", ["€ {}", "{} €", "{}%", "USD {}", "-{} EUR"])
def test_numbers_with_a_unit_are_named_with_a_way_out(tmp_path: Path, unit: str) -> None:
    table = frame().with_columns(x=pl.Series([unit.format(text) for text in comma(frame()["x"])]))
    inference, _ = infer(tmp_path, table)
    said = f"x writes numbers with a unit ({unit.format('0,0')}), so they are texts here. Export them without it"
    assert any(note.startswith(said) for note in inference.notes)
    with pytest.raises(CannotInfer, match="--target x writes numbers with a unit"):
        infer(tmp_path, table, target="x")


def test_a_few_texts_among_numbers_are_named(tmp_path: Path) -> None:
    row = pl.int_range(ROWS, eager=True)
    x = pl.when(row % 100 == 7).then(pl.lit("n.n.")).otherwise(pl.col("x").cast(pl.String)).alias("x")
    inference, _ = infer(tmp_path, frame().with_columns(x))
    (told,) = (note for note in inference.notes if note.startswith("x holds numbers"))
    count = (row % 100 == 7).sum()
    assert told.startswith(f"x holds numbers but for {count} texts ('n.n.'), and so all its values are taken for texts")


def test_features_that_say_nothing_give_a_note_and_no_bound(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    rows = 1000
    at = [datetime(2026, 1, 1) + timedelta(hours=hour) for hour in range(rows)]  # noqa: DTZ001 - files hold naive times
    noise = pl.DataFrame(
        {"at": at, "x": draw.normal(size=rows), "y": draw.integers(0, 2, rows), "amount": draw.normal(size=rows)}
    )
    for target, bound in (("y", "floor"), ("amount", "ceiling")):
        inference, spec = infer(tmp_path, noise.drop({"y": "amount", "amount": "y"}[target]), target=target)
        said = [note for note in inference.notes if "features help" in note or "features did not help" in note]
        assert len(said) == 1
        assert "The gate has no bound yet" in said[0]
        assert (spec.gates[0].floor, spec.gates[0].ceiling) == (None, None)
        assert f"# {bound}: ?" in inference.yaml


def test_features_that_help_give_a_bound_halfway(tmp_path: Path) -> None:
    inference, spec = infer(tmp_path, frame())
    assert spec.gates[0].floor is not None
    assert 0.7 < spec.gates[0].floor < 0.8
    assert "features" not in " ".join(note for note in inference.notes if "help" in note)


def test_one_time_for_all_rows_dates_nothing(tmp_path: Path) -> None:
    table = frame().with_columns(at=pl.lit("2026-01-01 00:00:00"))
    with pytest.raises(CannotInfer, match=r"--time at: all rows have the same one \(2026-01-01 00:00\), which orders"):
        infer(tmp_path, table)
    inference, spec = infer(tmp_path, table, time=None)
    assert (spec.data.time, spec.data.drop) == (None, ("at",))
    assert any("No column dates the rows" in note for note in inference.notes)


def test_empty_times_are_told_from_broken_ones(tmp_path: Path) -> None:
    times = ["" if n % 7 == 0 else f"2026-01-{1 + n % 28:02} 00:00:00" for n in range(ROWS)]
    with pytest.raises(CannotInfer, match="--time at: of 600 values 86 are empty; name another column"):
        infer(tmp_path, frame().with_columns(at=pl.Series(times)))
    broken = ["soon" if n % 7 == 1 else time for n, time in enumerate(times)]
    with pytest.raises(
        CannotInfer, match="86 are empty and 86 are not times, for example 'soon', 'soon', 'soon'; name"
    ):
        infer(tmp_path, frame().with_columns(at=pl.Series(broken)))


def test_a_nested_column_is_described_in_words(tmp_path: Path) -> None:
    frame(obj=[[1, 2]] * ROWS).write_parquet(tmp_path / "window.parquet")
    notes = infer_spec(tmp_path / "window.parquet", "y", "at").notes
    assert "obj holds nested or binary values, which no built-in encoder reads. It is in data.drop." in notes


def test_parquet_is_read_too(tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "window.parquet")
    assert infer_spec(tmp_path / "window.parquet", "y", "at").spec["task"] == "binary_classification"


def test_numbers_with_leading_zeros_are_codes(tmp_path: Path) -> None:
    places = [f"0{n % 40 + 1000}" if n % 3 else "94105" for n in range(ROWS)]
    inference, spec = infer(tmp_path, frame(zip=places))
    assert spec.checks.columns["zip"].type == "text"
    assert spec.checks.columns["zip"].max is None
    assert any("zip has numbers that begin with a zero (01001), so they are codes" in note for note in inference.notes)


def test_decimals_of_parquet_files_are_numbers(tmp_path: Path) -> None:
    table = frame().with_columns(pl.col("x", "y").cast(pl.Decimal(12, 2)))
    table.write_parquet(tmp_path / "window.parquet")
    columns = infer_spec(tmp_path / "window.parquet", "y", "at").spec["checks"]["columns"]
    assert columns["x"]["type"] == "number"


def test_names_that_yaml_would_misread_survive(tmp_path: Path) -> None:
    table = frame(
        **{"no": ["yes", "off"] * (ROWS // 2), "a: b": ["#1", "x'\"y"] * (ROWS // 2), "1": [1.5, 2.5] * (ROWS // 2)}
    )
    spec = infer(tmp_path, table)[1]
    assert spec.checks.columns["no"].allowed == ("off", "yes")
    assert spec.checks.columns["a: b"].allowed == ("#1", "x'\"y")
    assert "1" in spec.checks.columns


@pytest.mark.parametrize(
    ("change", "target", "time", "expected"),
    [
        ({}, "yy", "at", r"--target yy: some-data.csv has no such column; did you mean 'y'\?|--target yy: .* known"),
        ({}, "y", "att", r"--time att: some-data.csv has no such column; did you mean 'at'\?"),
        ({}, "y", "y", r"both y"),
        ({"y": pl.lit(1)}, "y", "at", r"--target y has one value only"),
        ({"y": pl.lit(None, dtype=pl.Int8)}, "y", "at", r"--target y has no values"),
        ({"y": pl.format("t{}", pl.col("z"))}, "y", "at", r"--target y holds 499 different texts"),
        ({}, "y", "x", r"--time x: .* are not times|holds Float64 values"),
    ],
)
def test_what_cannot_be_declared_is_said_in_one_sentence(
    tmp_path: Path, change: dict[str, pl.Expr], target: str, time: str, expected: str
) -> None:
    with pytest.raises(CannotInfer, match=expected):
        infer(tmp_path, frame().with_columns(**change), target, time)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"is empty"),
        (b"<html>", r"web page"),
        (b"a,b\n", r"holds 0 rows|no rows"),
        (b"y,x\n1,2\n", r"holds 1 row;"),
        (b"y,y\n1,2\n", r"more than once"),
    ],
)
def test_a_file_that_is_no_data_is_said_in_one_sentence(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(CannotInfer, match=expected):
        infer_spec(tmp_path / "bad.csv", "y")
    with pytest.raises(CannotInfer, match="is not a file"):
        infer_spec(tmp_path / "absent.csv", "y")
