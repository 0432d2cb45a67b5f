"""What the data check measures, and how it is judged: each kind of bad window, one at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from understudy.contract.judge_data import judge_data
from understudy.contract.judgement import Judgement
from understudy.contract.reports import DataReport, Finding
from understudy.contract.spec import ModelSpec
from understudy.contract.stage import StageRequest
from understudy.contract.words import Verdict
from understudy.stages import Refused, StageContext, checked_window, data_check

AS_OF = datetime(2026, 2, 1, tzinfo=timezone.utc)
ROWS = 400


def good() -> pl.DataFrame:
    row = pl.int_range(ROWS, eager=True)
    return pl.DataFrame(
        {
            "at": [AS_OF - timedelta(hours=ROWS - hour) for hour in range(ROWS)],
            "price": (row * 7919 % 1000) / 10,
            "city": ["Rome", "Oslo", "Lima", "Kyiv"] * (ROWS // 4),
            "y": ["a", "b"] * (ROWS // 2),
        }
    )


@dataclass(frozen=True)
class Checked:
    report: DataReport
    judgement: Judgement
    good: pl.DataFrame
    bad: pl.DataFrame | None
    outputs: Path

    def finding(self, check: str, column: str | None = None) -> Finding:
        (found,) = [f for f in self.report.findings if f.check == check and column in (None, f.column)]
        return found

    @property
    def failed(self) -> set[str]:
        return {r.gate for r in self.judgement.results if r.verdict is not Verdict.PASSED}


Check = Callable[..., Checked]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a frame under a declaration, in a folder of its own."""

    def run(
        frame: pl.DataFrame,
        task: str = "binary_classification",
        data: dict[str, Any] | None = None,
        inputs: dict[str, Path] | None = None,
        params: dict[str, Any] | None = None,
        **checks: Any,
    ) -> Checked:
        folder = tmp_path / f"check-{len(list(tmp_path.iterdir()))}"
        outputs = folder / "outputs"
        outputs.mkdir(parents=True)
        frame.write_parquet(folder / "data.parquet")
        spec = ModelSpec.model_validate(
            {
                "model": "m",
                "owner": "o",
                "task": task,
                "gates": [{"metric": "mae" if task == "regression" else "accuracy"}],
                "data": {"source": "x.csv", "target": "y", "time": "at", **(data or {})},
                "checks": checks,
            }
        )
        request = StageRequest(
            stage="data_check", model="m", run="r", as_of=AS_OF, spec=spec.model_dump(mode="json"), params=params or {}
        )
        answer = data_check.run(
            StageContext(request, {"data.parquet": folder / "data.parquet", **(inputs or {})}, outputs)
        )
        assert isinstance(answer.report, DataReport)
        report = DataReport.model_validate_json(answer.report.model_dump_json())
        quarantine = answer.outputs.get("quarantine")
        return Checked(
            report,
            judge_data(report),
            pl.read_parquet(answer.outputs["data"]),
            pl.read_parquet(quarantine) if quarantine else None,
            outputs,
        )

    return run


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


def test_duplicate_timestamps_alone_are_noticed_and_refuse_only_as_a_key(check: Check) -> None:
    frame = good().with_columns(at=pl.col("at").dt.truncate("2h"))
    noticed = check(frame)
    assert noticed.judgement.verdict is Verdict.PASSED
    assert noticed.finding("duplicate_timestamps").measured == pytest.approx(0.5, abs=0.01)
    assert "duplicates" in check(frame, data={"key": ["at"]}).failed


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


def test_a_window_longer_than_a_slice_finds_bad_rows_where_they_are(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_window, "SLICE_ROWS", 64)
    frame = good().with_row_index("n")
    found = check(frame, columns={"n": {"allowed": [n for n in range(ROWS) if n not in (63, 64, 399)]}})
    assert found.bad is not None
    assert found.bad["n"].to_list() == [63, 64, 399]
    assert found.good["n"].to_list() == [n for n in range(ROWS) if n not in (63, 64, 399)]


def test_equal_windows_give_equal_results(check: Check) -> None:
    first, second = (check(good(), columns={"price": {"min": 3}}) for _ in range(2))
    assert first.report == second.report
    for name in ("data.parquet", "quarantine.parquet", "profile.json"):
        assert (first.outputs / name).read_bytes() == (second.outputs / name).read_bytes()


def test_the_target_must_be_there(check: Check) -> None:
    with pytest.raises(Refused, match=r"data\.target: 'y' is not a column of the window"):
        check(good().rename({"y": "label"}))


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
