"""Which windows the data check refuses: each kind of bad one, and those that are unlike the champion's."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.unit.stages.check.checked import AS_OF, Check, good
from understudy.contract.words import Verdict
from understudy.stages import Refused


def test_a_good_window_passes_and_goes_on_byte_for_byte(check: Check) -> None:
    found = check(
        good(),
        columns={
            "price": {"type": "number", "min": 0, "max": 100, "max_null_share": 0},
            "city": {"pattern": "[A-Z][a-z]+"},
        },
        max_age="2h",
        label_shares={"a": {"min": 0.4, "max": 0.6}},
        params={"history": [380, 420], "known_classes": ["a", "b"]},
    )
    assert found.judgement.verdict is Verdict.PASSED, found.judgement.sentence
    assert found.bad is None
    assert (found.outputs / "data.parquet").read_bytes() == (found.outputs.parent / "data.parquet").read_bytes()
    assert found.report.label_shares == {"a": 0.5, "b": 0.5}
    assert found.report.profile["price"].null_share == 0


def test_a_target_of_lists_is_refused_in_one_sentence(check: Check) -> None:
    with pytest.raises(Refused, match=r"data\.target: 'y' holds List\(Int64\) values; a target is a number, a text or"):
        check(good().with_columns(y=pl.lit([1], dtype=pl.List(pl.Int64))))


def test_many_bad_cells_refuse_the_window_and_name_the_worst_column_with_examples(check: Check) -> None:
    found = check(good().with_columns(price=pl.col("price") - 50), columns={"price": {"min": 0}})
    assert found.failed == {"bad_rows"}
    assert found.judgement.verdict is Verdict.FAILED
    assert "price: 199 of 400 rows are not at least 0, for example -50, -6.7" in found.judgement.sentence


@pytest.mark.parametrize(
    ("change", "checks", "gate"),
    [
        ({"price": pl.lit(None, dtype=pl.Float64)}, {}, "all_null.price"),
        ({"price": pl.lit("cheap")}, {"columns": {"price": {"type": "number"}}}, "bad_rows"),
        ({"price": pl.lit(True)}, {"columns": {"price": {"type": "number"}}}, "type.price"),
        (
            {"price": pl.when(pl.col("price") < 30).then(None).otherwise("price")},
            {"columns": {"price": {"max_null_share": 0.1}}},
            "null_share.price",
        ),
        ({"y": pl.lit("a")}, {}, "class_count.y"),
        ({"y": pl.when(pl.col("price") < 1).then(None).otherwise("y")}, {}, "label_nulls.y"),
        ({"y": pl.when(pl.col("price") < 1).then(pl.lit("c")).otherwise("y")}, {}, "class_count.y"),
        (
            {"y": pl.when(pl.col("price") < 90).then(pl.lit("b")).otherwise("y")},
            {"label_shares": {"a": {"min": 0.4}}},
            "label_share.y",
        ),
        ({"at": pl.col("at") - timedelta(days=3)}, {"max_age": "2d"}, "freshness"),
        ({"at": pl.lit(AS_OF), "price": pl.lit(1.0), "city": pl.lit("Rome")}, {}, "duplicates"),
        ({"price": pl.lit(1.0), "city": pl.lit("Rome")}, {}, "conflicts"),
    ],
)
def test_each_kind_of_bad_window_is_refused(
    check: Check, change: dict[str, pl.Expr], checks: dict[str, Any], gate: str
) -> None:
    found = check(good().with_columns(**change), **checks)
    assert found.judgement.verdict is Verdict.FAILED
    assert gate in found.failed
    assert check(good(), **checks).judgement.verdict is Verdict.PASSED, "the same checks pass on good rows"


def test_a_missing_column_is_named_with_its_nearest_neighbour(check: Check) -> None:
    found = check(good().rename({"price": "prise"}), columns={"price": {"min": 0}})
    assert "column 'price' is missing; did you mean 'prise'?" in found.judgement.sentence
    assert found.judgement.verdict is Verdict.FAILED
    optional = check(good().drop("price"), columns={"price": {"min": 0, "required": False}})
    assert optional.judgement.verdict is Verdict.PASSED


@pytest.mark.parametrize("rows", [0, 1, 99])
def test_too_few_rows_decide_nothing(check: Check, rows: int) -> None:
    found = check(good().head(rows))
    assert found.judgement.verdict is not Verdict.PASSED
    assert found.finding("row_count").failed
    assert check(good().head(99)).judgement.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("history", "passes"), [([], True), ([100, 400, 500], True), ([1300], False), ([120], False)])
def test_volume_is_compared_with_the_median_of_accepted_windows(check: Check, history: list[int], passes: bool) -> None:
    assert (check(good(), params={"history": history}).judgement.verdict is Verdict.PASSED) is passes


@pytest.mark.parametrize(
    ("known", "new_classes", "passes"),
    [(["a", "b"], "refuse", False), (["a", "b"], "accept", True), ([], "refuse", True)],
)
def test_a_class_that_no_accepted_window_had_is_refused_unless_accepted(
    check: Check, known: list[str], new_classes: str, passes: bool
) -> None:
    frame = good().with_columns(y=pl.when(pl.col("price") < 30).then(pl.lit("c")).otherwise("y"))
    found = check(frame, "multiclass_classification", params={"known_classes": known}, new_classes=new_classes)
    assert (found.judgement.verdict is Verdict.PASSED) is passes


@pytest.mark.parametrize(("values", "gate"), [(pl.lit(3.0), "label_values.y"), (pl.lit("many"), "label_type.y")])
def test_a_target_that_regression_cannot_learn_is_refused(check: Check, values: pl.Expr, gate: str) -> None:
    assert gate in check(good().with_columns(y=values), "regression").failed


def test_duplicate_timestamps_alone_are_noticed_and_refuse_only_as_a_key(check: Check) -> None:
    frame = good().with_columns(at=pl.col("at").dt.truncate("2h"))
    noticed = check(frame)
    assert noticed.judgement.verdict is Verdict.PASSED
    assert noticed.finding("duplicate_timestamps").measured == pytest.approx(0.5, abs=0.01)
    assert "duplicates" in check(frame, data={"key": ["at"]}).failed


def champion_profile(check: Check) -> dict[str, Path]:
    return {"reference_profile.json": check(good()).outputs / "profile.json"}


def test_a_window_like_the_champions_has_no_skew(check: Check) -> None:
    found = check(good().sample(200, seed=1).sort("at"), inputs=champion_profile(check))
    assert found.judgement.verdict is Verdict.PASSED, found.judgement.sentence
    assert found.finding("skewed_columns").measured == 0


def test_one_column_may_move_but_most_may_not(check: Check) -> None:
    reference = champion_profile(check)
    one = check(good().with_columns(price=pl.col("price") + 1000), inputs=reference)
    assert one.judgement.verdict is Verdict.PASSED
    assert one.finding("skew", "price").measured == pytest.approx(1, abs=0.05)
    both = check(good().with_columns(price=pl.col("price") + 1000, city=pl.lit("Bern")), inputs=reference)
    assert both.failed == {"skewed_columns"}


def test_columns_that_vanish_or_change_their_kind_against_the_champion_are_refused(check: Check) -> None:
    reference = champion_profile(check)
    assert check(good().drop("city"), inputs=reference).failed == {"schema.city"}
    assert check(good().with_columns(price=pl.col("price").cast(pl.String)), inputs=reference).failed == {"type.price"}
    # A column without a value has no kind, whatever an empty CSV column is called: that it is empty says it all.
    empty = check(good().with_columns(price=pl.lit(None, dtype=pl.String)), inputs=reference)
    assert empty.failed == {"all_null.price"}
    almost = pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("dear"))
    assert "type.price" in check(good().with_columns(price=almost), inputs=reference).failed
    more = check(good().with_columns(extra=pl.lit(1)), inputs=reference)
    assert more.judgement.verdict is Verdict.PASSED
    assert not more.finding("schema", "extra").failed


def test_equal_windows_give_equal_results(check: Check) -> None:
    first, second = (check(good(), columns={"price": {"min": 3}}) for _ in range(2))
    assert first.report == second.report
    for name in ("data.parquet", "quarantine.parquet", "profile.json"):
        assert (first.outputs / name).read_bytes() == (second.outputs / name).read_bytes()


def test_the_target_must_be_there(check: Check) -> None:
    with pytest.raises(Refused, match=r"data\.target: 'y' is not a column of the window"):
        check(good().rename({"y": "label"}))


def test_a_window_that_training_could_not_divide_is_refused_here(check: Check) -> None:
    few = check(good().head(40), min_rows=1)
    assert few.judgement.verdict is Verdict.FAILED
    assert few.failed == {"split_rows"}
    assert "the holdout part has 8 of the window's 40 rows, 10 are needed" in few.judgement.sentence
    assert "\n" not in few.judgement.sentence
    passed = check(good(), min_rows=1).finding("split_rows")
    assert (passed.failed, passed.measured) == (False, 64)
    assert passed.sentence == "256 rows to train on, 64 to validate, 80 held out"


@pytest.mark.parametrize(
    ("only_b", "part"), [(slice(350, 400), "holdout"), (slice(256, 320), "validation"), (slice(256), "train")]
)
def test_a_window_with_one_class_in_a_part_is_refused_here(check: Check, only_b: slice, part: str) -> None:
    row = pl.int_range(pl.len())
    start, stop = (only_b.start or 0) if part != "holdout" else 320, only_b.stop
    found = check(good().with_columns(y=pl.when(row.is_between(start, stop - 1)).then(pl.lit("b")).otherwise("y")))
    assert found.judgement.verdict is Verdict.FAILED
    assert found.failed == {"split_labels"}
    assert f"the {part} part of {stop - start} rows has the single class 'b' of 'y'" in found.judgement.sentence


def test_rows_that_are_set_aside_do_not_count_for_the_split(check: Check) -> None:
    small = good().head(58)
    assert check(small, min_rows=1).judgement.verdict is Verdict.PASSED
    spoiled = small.with_columns(price=pl.when(pl.int_range(pl.len()) == 55).then(-1.0).otherwise("price"))
    found = check(spoiled, min_rows=1, max_bad_share=0.1, columns={"price": {"min": 0}})
    assert "the validation part has 9 of the window's 57 rows" in found.finding("split_rows").sentence


def test_undated_rows_are_divided_by_their_content_before_they_are_trained_on(check: Check) -> None:
    undated = good().drop("at")
    assert check(undated, data={"time": None}).judgement.verdict is Verdict.PASSED
    found = check(undated.head(30), data={"time": None}, min_rows=1)
    assert found.failed == {"split_rows"}
    assert "about 63 in all" in found.judgement.sentence


def test_more_classes_than_can_be_trained_on_are_refused_here(check: Check) -> None:
    many = good().with_columns(y=pl.format("c{}", pl.int_range(pl.len()) % 201))
    found = check(many, task="multiclass_classification", max_conflict_share=1)
    assert found.failed == {"split_labels.y"}
    assert "has 201 classes; at most 200 are supported" in found.judgement.sentence


def test_a_target_that_is_wrong_as_a_whole_is_told_once(check: Check) -> None:
    found = check(good().with_columns(y=pl.lit("a")))
    assert found.failed == {"class_count.y"}
    assert not [f for f in found.report.findings if f.check.startswith("split")]
