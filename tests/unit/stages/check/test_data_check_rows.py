"""Which rows and cells go on from the data check, and which are set aside with the reason."""

from pathlib import Path

import polars as pl
import pytest

from tests.unit.stages.check.checked import ROWS, Check, good
from understudy.contract.words import Verdict
from understudy.stages import Refused
from understudy.stages.check import checked_window


def test_few_bad_cells_are_set_aside_with_the_reason_and_the_rest_goes_on(check: Check) -> None:
    frame = (
        good()
        .with_row_index()
        .with_columns(
            price=pl.when(pl.col("index") == 7).then(-5.0).when(pl.col("index") == 9).then(None).otherwise("price"),
            city=pl.when(pl.col("index") == 7).then(pl.lit("Atlantis")).otherwise("city"),
        )
        .drop("index")
    )
    found = check(
        frame, columns={"price": {"min": 0, "max_null_share": 0}, "city": {"allowed": ["Rome", "Oslo", "Lima", "Kyiv"]}}
    )
    assert found.judgement.verdict is Verdict.PASSED, found.judgement.sentence
    assert found.report.bad_rows == 2
    assert found.bad is not None
    assert found.bad["_why"].to_list() == ["city: allowed; price: range", "price: nulls"]
    assert found.bad["at"].to_list() == [frame["at"][7], frame["at"][9]]
    assert found.good.height == ROWS - 2
    assert found.finding("range").examples == ("-5",)
    assert found.finding("range").failing_rows == 1


def test_texts_that_are_numbers_become_numbers_where_declared_and_others_are_set_aside(check: Check) -> None:
    frame = good().with_columns(
        price=pl.when(pl.col("at") == pl.col("at").max())
        .then(pl.lit("n.a."))
        .otherwise(pl.col("price").cast(pl.String))
    )
    found = check(frame, columns={"price": {"type": "number", "max_null_share": 0}})
    assert found.good.schema["price"] == pl.Float64
    assert found.finding("type", "price").examples == ("n.a.",)
    assert found.bad is not None
    assert found.bad["_why"].to_list() == ["price: type"]


def test_a_unique_column_keeps_the_first_of_equal_values(check: Check) -> None:
    frame = good().with_columns(at=pl.when(pl.col("at") == pl.col("at").max()).then(pl.col("at").min()).otherwise("at"))
    found = check(frame, columns={"at": {"unique": True}})
    assert found.report.bad_rows == 1
    assert found.finding("duplicate_timestamps").measured == 1 / ROWS
    assert found.bad is not None
    assert found.bad["price"].to_list() == frame["price"].to_list()[-1:]


def test_values_that_a_reference_does_not_know_are_set_aside(check: Check, tmp_path: Path) -> None:
    known = tmp_path / "known-0.csv"
    known.write_text("name\nRome\nOslo\nLima\n")
    references = [{"column": "city", "file": "cities.csv", "known": "name"}]
    found = check(good(), inputs={"known-0.csv": known}, references=references)
    assert found.finding("reference", "city").failing_rows == ROWS // 4
    assert found.finding("reference", "city").examples == ("Kyiv",)
    with pytest.raises(Refused, match=r"'nam' is not a column of cities.csv; did you mean 'name'"):
        check(good(), inputs={"known-0.csv": known}, references=[{**references[0], "known": "nam"}])


def test_personal_columns_are_dropped_everywhere_and_redacted_as_evidence(check: Check) -> None:
    secret = [f"person{row}@example.org" for row in range(ROWS)]
    frame = good().with_columns(
        mail=pl.Series(secret), phone=pl.Series(["+49 1234"] * ROWS), gender=pl.Series(["f", "m"] * (ROWS // 2))
    )
    found = check(
        frame,
        data={"classes": {"pii": ["mail", "phone"], "sensitive": ["gender"]}},
        columns={"phone": {"pattern": r"\d+"}, "mail": {"pattern": "x"}},
    )
    assert found.good.columns == ["at", "price", "city", "y", "gender"]
    assert found.bad is not None
    assert found.bad.columns == ["at", "price", "city", "y", "gender", "_why"]
    everything = (
        found.report.model_dump_json()
        + found.judgement.model_dump_json()
        + (found.outputs / "profile.json").read_text()
    )
    assert "1234" not in everything
    assert "example.org" not in everything
    assert "‹redacted›" in everything
    undeclared = check(frame.drop("phone"))
    assert undeclared.finding("undeclared_pii").column == "mail"
    assert "example.org" not in undeclared.report.model_dump_json(exclude={"profile"})


def test_a_few_texts_that_make_texts_of_a_column_of_numbers_are_noticed_with_a_way_out(check: Check) -> None:
    row = pl.int_range(ROWS, eager=True)
    prices = pl.when(row == 7).then(pl.lit("n.n.")).otherwise(pl.col("price").cast(pl.String)).alias("price")
    frame = good().with_columns(prices, row.cast(pl.String).str.zfill(5).alias("postcode"))
    found = check(frame)
    noticed = found.finding("texts_among_numbers")
    assert (noticed.column, noticed.measured, noticed.failed, noticed.examples) == ("price", 1, False, ("n.n.",))
    assert "price holds numbers but for 1 text, for example n.n., and so all its values are taken" in noticed.sentence
    assert found.failed == set()
    for kind, bad in (("text", 0), ("number", 1)):
        declared = check(frame, columns={"price": {"type": kind}}, max_bad_share=0.1)
        assert declared.report.bad_rows == bad
        assert "texts_among_numbers" not in {finding.check for finding in declared.report.findings}


def test_nan_and_infinity_count_as_missing(check: Check) -> None:
    frame = good().with_columns(
        price=pl.when(pl.col("price") < 2)
        .then(float("nan"))
        .when(pl.col("price") > 99)
        .then(float("inf"))
        .otherwise("price")
    )
    found = check(frame, columns={"price": {"max_null_share": 0.5}})
    assert found.good["price"].null_count() == frame.filter(~pl.col("price").is_finite()).height
    assert found.good["price"].drop_nulls().is_finite().all()


def test_rows_without_a_label_never_go_on(check: Check) -> None:
    frame = good().with_columns(y=pl.when(pl.col("price") < 1).then(None).otherwise("y"))
    found = check(frame, max_label_null_share=0.1)
    assert found.judgement.verdict is Verdict.PASSED
    assert found.good.height == found.report.rows_checked == frame["y"].drop_nulls().len()


def test_a_pattern_that_only_python_understands_works(check: Check) -> None:
    found = check(good(), columns={"city": {"pattern": "(?!Rome)[A-Z].*"}})
    assert found.finding("pattern").failing_rows == ROWS // 4


def test_allowed_words_survive_yaml_truth_values(check: Check) -> None:
    frame = good().with_columns(flag=pl.Series(["yes", "no"] * (ROWS // 2)))
    assert check(frame, columns={"flag": {"allowed": [True, False]}}).judgement.verdict is Verdict.PASSED
    assert check(frame, columns={"flag": {"allowed": [True]}}).judgement.verdict is Verdict.FAILED


def test_a_window_longer_than_a_slice_finds_bad_rows_where_they_are(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_window, "SLICE_ROWS", 64)
    frame = good().with_row_index("n")
    found = check(frame, columns={"n": {"allowed": [n for n in range(ROWS) if n not in (63, 64, 399)]}})
    assert found.bad is not None
    assert found.bad["n"].to_list() == [63, 64, 399]
    assert found.good["n"].to_list() == [n for n in range(ROWS) if n not in (63, 64, 399)]


def test_columns_of_every_other_type_are_let_through(check: Check) -> None:
    frame = good().with_columns(
        nested=pl.Series([[1, 2]] * ROWS),
        record=pl.struct("price", "city"),
        raw=pl.Series([b"x"] * ROWS),
        money=pl.col("price").cast(pl.Decimal(10, 2)),
        hour=pl.col("at").dt.time(),
        small=pl.col("price").cast(pl.UInt8),
        kind=pl.col("city").cast(pl.Categorical),
        truth=pl.col("price") > 50,
        nothing=pl.lit(None),
    )
    found = check(
        frame, columns={"nothing": {"max_null_share": 1}, "kind": {"allowed": ["Rome", "Oslo", "Lima", "Kyiv"]}}
    )
    assert found.judgement.verdict is Verdict.PASSED, found.judgement.sentence
    assert found.good.columns == frame.columns
    assert found.report.profile["kind"].type == "text"
    assert found.report.profile["truth"].levels == ("true", "false")


def test_other_times_than_the_rows_own_are_parsed_where_declared(check: Check) -> None:
    frame = good().with_columns(
        paid=pl.when(pl.col("price") < 0.5).then(pl.lit("soon")).otherwise(pl.lit("2026-01-05"))
    )
    found = check(frame, columns={"paid": {"type": "time"}})
    assert found.finding("type", "paid").examples == ("soon",)
    assert found.good["paid"].dtype == pl.Datetime("us", "UTC")


def test_a_personal_key_stays_beside_undated_rows_only_and_is_shown_nowhere(check: Check) -> None:
    frame = good().with_columns(mail=pl.format("p{}@example.org", pl.int_range(ROWS)))
    personal = {"key": ["mail"], "classes": {"pii": ["mail"]}}
    undated = check(frame, data={**personal, "time": None}, columns={"price": {"max": 99}, "mail": {"pattern": "q.*"}})
    assert undated.good.columns == frame.columns
    assert undated.bad is not None
    assert "mail" not in undated.bad.columns
    assert "mail" not in undated.report.profile
    assert "example.org" not in undated.report.model_dump_json()
    dated = check(frame, data=personal)
    assert "mail" not in dated.good.columns
    assert not {"duplicates", "mail"} & dated.failed


@pytest.mark.parametrize("field", ["slices", "fairness"])
def test_a_column_that_only_the_evaluation_asks_for_is_refused_before_training(check: Check, field: str) -> None:
    with pytest.raises(Refused, match=f"evaluate.{field}: 'citi' is not a column .* did you mean 'city'") as refused:
        check(good(), evaluate={field: ["price", "citi"]})
    assert refused.value.field == f"evaluate.{field}"
    assert check(good(), evaluate={field: ["price", "city"]}).judgement.verdict is Verdict.PASSED


def undated(folder: Path, times: list[str | None]) -> dict[str, Path]:
    row = good().head(len(times)).with_columns(at=pl.Series(times, dtype=pl.String))
    row.write_parquet(folder / "undated.parquet")
    return {"undated.parquet": folder / "undated.parquet"}


def test_rows_without_a_time_are_counted_and_set_aside_with_what_stood_there(check: Check, tmp_path: Path) -> None:
    cities = {"city": {"allowed": ["Rome", "Oslo", "Lima"]}}
    rest = good().filter((pl.col("city") != "Kyiv") | (pl.int_range(ROWS) == 3))
    found = check(rest, inputs=undated(tmp_path, ["soon", None]), columns=cities, max_bad_share=0.02)
    assert found.judgement.verdict is Verdict.PASSED, found.judgement.sentence
    assert (found.report.rows, found.report.bad_rows, found.good.height) == (rest.height + 2, 3, rest.height - 1)
    assert found.finding("time", "at").sentence == (
        f"at: 2 of {rest.height + 2} rows have no time that can be read, for example soon, nothing"
    )
    assert found.bad is not None
    assert found.bad["_why"].to_list() == ["city: allowed", "at: no time (soon)", "at: no time (nothing)"]
    assert found.bad["at"].null_count() == 2
    assert found.bad.schema["at"] == good().schema["at"]


def test_rows_without_a_time_count_among_the_bad_ones_that_refuse_a_window(check: Check, tmp_path: Path) -> None:
    found = check(good(), inputs=undated(tmp_path, ["soon"] * 5))
    assert found.judgement.verdict is Verdict.FAILED
    assert "5 of 405 rows (1.23%) have failing cells" in found.judgement.sentence
    assert "5 of 405 rows have no time that can be read, for example soon" in found.judgement.sentence
