"""Challenger and champion on the same rows, on a small simulated table."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.unit.stages.contested import HOSTILE, ROWS, TARGETS, context, spec, table
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judges.challenger import judge
from understudy.contract.reports import Comparison, EvaluationReport, TrainingReport
from understudy.contract.stage import artefact_of
from understudy.contract.words import Verdict
from understudy.stages.context import Refused, StageOutput
from understudy.stages.evaluate import run as evaluate
from understudy.stages.measure import latency
from understudy.stages.report.write import show_number
from understudy.stages.train import run as train

SHELF = Path()
SKILLS: dict[str, dict[str, Any]] = {"strong": {"max_iter": 25}, "weak": {"max_iter": 1, "max_depth": 1}}


@pytest.fixture(scope="module", autouse=True)
def _shelf(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give the models that all tests of this file share a folder; training each once saves most of the time."""
    global SHELF  # noqa: PLW0603 - functools.cache needs one place for the whole file
    SHELF = tmp_path_factory.mktemp("models")
    trained.cache_clear()


@cache
def trained(task: str, dated: bool, skill: str) -> tuple[Path, TrainingReport]:
    folder = SHELF / f"{task}-{dated}-{skill}"
    folder.mkdir(parents=True)
    table().to_parquet(folder / "data.parquet")
    declared = spec(task, dated=dated)
    output = train(
        context("train", declared, {"data.parquet": folder / "data.parquet"}, folder / "out", params=SKILLS[skill])
    )
    assert isinstance(output.report, TrainingReport)
    return folder / "out", output.report


def contest(
    tmp_path: Path,
    declared: dict[str, Any] | None = None,
    *,
    champion: str | None = "weak",
    holdout: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    code: Path | None = None,
    **params: Any,
) -> StageOutput:
    declared = declared or spec()
    task, dated = declared["task"], declared["split"]["method"] == "time"
    ours, report = trained(task, dated, "strong")
    inputs = {
        "holdout.parquet": ours / "holdout.parquet",
        "challenger": ours / "model",
        "references": ours / "references",
    }
    if holdout is not None:
        holdout(pd.read_parquet(inputs["holdout.parquet"])).to_parquet(tmp_path / "holdout.parquet")
        inputs["holdout.parquet"] = tmp_path / "holdout.parquet"
    ends: dict[str, Any] = {"challenger_train_end": report.train_end.isoformat() if report.train_end else None}
    if champion is not None:
        inputs["champion"] = trained(task, dated, champion)[0] / "model"
        ends |= {"champion_version": 4, "champion_train_end": ends["challenger_train_end"]}
    if code is not None:
        inputs["code"] = code
    return evaluate(
        context("evaluate", declared, inputs, tmp_path / "out", challenger_version="run-9", **(ends | params))
    )


def measured(output: StageOutput) -> EvaluationReport:
    assert isinstance(output.report, EvaluationReport)
    return output.report


def primary(report: EvaluationReport) -> Comparison:
    return next(c for c in report.comparisons if c.metric == report.primary)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("task", list(TARGETS))
def test_a_better_challenger_is_seen_as_better_for_every_task(tmp_path: Path, task: str, dated: bool) -> None:
    declared = spec(task, dated=dated)
    output = contest(tmp_path, declared)
    report = measured(output)
    found = primary(report)
    assert found.gain_low is not None
    assert found.gain_low > 0
    assert (report.leaked_rows, report.champion_version) == (0, 4)
    assert set(report.references) == ({"dummy", "linear", "no_change"} if dated else {"dummy", "linear"})
    assert all(c.gain is not None and c.gain > 0 for c in report.references.values())
    assert report.blocks >= 8
    assert set(report.measurements) == {
        "size_mb", "champion_size_mb", "parity_gap", "churn_share", "negative_flip_share",
    }  # fmt: skip
    assert {"latency_p95_ms", "champion_latency_p95_ms", "load_s"} == set(output.timings)
    complete = ModelSpec.model_validate(declared)
    assert judge(report, complete.gates, complete.evaluate).verdict is Verdict.PASSED


def test_a_worse_challenger_is_declined(tmp_path: Path) -> None:
    declared = spec()
    ours, report = trained("binary_classification", True, "weak")
    theirs, _ = trained("binary_classification", True, "strong")
    inputs = {
        "holdout.parquet": ours / "holdout.parquet",
        "challenger": ours / "model",
        "references": ours / "references",
        "champion": theirs / "model",
    }
    found = measured(
        evaluate(context("evaluate", declared, inputs, tmp_path, challenger_version="r", champion_version=1))
    )
    complete = ModelSpec.model_validate(declared)
    assert judge(found, complete.gates, complete.evaluate).verdict is Verdict.FAILED
    assert report.rows_trained == 1200


def test_without_a_champion_only_the_challenger_is_measured(tmp_path: Path) -> None:
    report = measured(contest(tmp_path, champion=None))
    assert report.champion_version is None
    assert report.delta is None
    assert report.slices == ()
    assert all(c.challenger is not None and c.other is None and c.gain is None for c in report.comparisons)
    assert report.measurements["churn_share"] is None


def test_equal_models_tie_exactly(tmp_path: Path) -> None:
    report = measured(contest(tmp_path, champion="strong"))
    assert all((c.gain, c.gain_low, c.gain_high) == (0, 0, 0) for c in report.comparisons)
    assert report.delta is not None
    assert report.delta.churn_share == 0


def test_rows_not_strictly_after_training_and_embargo_are_counted_as_leaked(tmp_path: Path) -> None:
    start = pd.read_parquet(trained("binary_classification", True, "strong")[0] / "holdout.parquet")["at"].min()
    seen = (start + timedelta(hours=9)).isoformat()
    assert measured(contest(tmp_path, champion_train_end=seen)).leaked_rows == 10
    strict = spec(split={"method": "time", "embargo": "5h"})
    assert measured(contest(tmp_path, strict, champion_train_end=seen)).leaked_rows == 15


def test_without_any_record_of_the_training_every_row_counts_as_leaked(tmp_path: Path) -> None:
    ours, _ = trained("binary_classification", True, "strong")
    nameless = tmp_path / "nameless"
    shutil.copytree(ours / "model", nameless)
    facts = json.loads((nameless / "understudy.json").read_text())
    (nameless / "understudy.json").write_text(json.dumps({**facts, "train_end": None}))
    inputs = {"holdout.parquet": ours / "holdout.parquet", "challenger": nameless, "references": ours / "references"}
    report = measured(evaluate(context("evaluate", spec(), inputs, tmp_path / "out")))
    assert report.leaked_rows == report.rows


def test_undated_rows_of_the_training_part_are_counted_as_leaked(tmp_path: Path) -> None:
    everything = measured(contest(tmp_path, spec(dated=False), holdout=lambda _: table()))
    assert everything.rows == ROWS
    _, report = trained("binary_classification", False, "strong")
    assert everything.leaked_rows == report.rows_trained


def test_a_holdout_of_one_class_gives_no_area_and_no_pass(tmp_path: Path) -> None:
    report = measured(contest(tmp_path, holdout=lambda f: f[f["won"] == "yes"]))
    assert primary(report).challenger is None
    complete = ModelSpec.model_validate(spec())
    assert judge(report, complete.gates, complete.evaluate).verdict is Verdict.INCONCLUSIVE


def test_too_few_blocks_give_no_interval(tmp_path: Path) -> None:
    declared = spec(evaluate={"block": "2d"})
    report = measured(contest(tmp_path, declared))
    assert report.blocks < 8
    assert all(c.gain is not None and c.gain_low is None for c in report.comparisons)


def test_a_long_holdout_is_thinned_evenly(tmp_path: Path) -> None:
    declared = spec(evaluate={"max_rows": 1000}, dated=False)
    report = measured(contest(tmp_path, declared, holdout=lambda _: table()))
    assert report.rows == 1000


def test_harm_is_looked_for_within_each_slice(tmp_path: Path) -> None:
    unharmed = measured(contest(tmp_path, champion="strong"))
    assert {s.p_harm for s in unharmed.slices} == {1.0}
    ours, _ = trained("binary_classification", True, "strong")
    inputs = {
        "holdout.parquet": ours / "holdout.parquet",
        "references": ours / "references",
        "champion": ours / "model",
    }
    inputs["challenger"] = trained("binary_classification", True, "weak")[0] / "model"
    harmed = measured(evaluate(context("evaluate", spec(), inputs, tmp_path / "worse", champion_version=1)))
    assert min(s.p_harm for s in harmed.slices if s.p_harm is not None) < 0.001


def test_numeric_slices_are_quartiles_that_hold_every_row_once(tmp_path: Path) -> None:
    report = measured(contest(tmp_path))
    quartiles = [s for s in report.slices if s.column == "other"]
    assert len(quartiles) == 4
    assert sum(s.comparison.rows for s in quartiles) == report.rows


def test_a_small_slice_is_shown_and_not_judged(tmp_path: Path) -> None:
    declared = spec(evaluate={"slices": ["group"], "min_slice_rows": 10_000})
    assert [s.judged for s in measured(contest(tmp_path, declared)).slices] == [False] * 3


def test_the_parity_gap_is_the_difference_of_selection_rates(tmp_path: Path) -> None:
    from understudy.stages.model.model_files import load_model

    folder, _ = trained("binary_classification", True, "strong")
    holdout = pd.read_parquet(folder / "holdout.parquet")
    selected = pd.Series(load_model(folder / "model").predict(holdout) == "yes").groupby(holdout["group"]).mean()
    assert measured(contest(tmp_path)).measurements["parity_gap"] == pytest.approx(selected.max() - selected.min())


def test_flips_add_up(tmp_path: Path) -> None:
    report = measured(contest(tmp_path))
    delta, accuracy = report.delta, next(c for c in report.comparisons if c.metric == "accuracy")
    assert delta is not None
    assert delta.positive_flip_share is not None
    assert delta.negative_flip_share is not None
    assert delta.positive_flip_share - delta.negative_flip_share == pytest.approx(accuracy.gain)
    assert delta.churn_share == pytest.approx(delta.positive_flip_share + delta.negative_flip_share)
    assert set(delta.churn_by_class) <= {"yes", "no"}


def test_value_comes_from_a_cost_matrix(tmp_path: Path) -> None:
    costs = {"yes": {"yes": 0, "no": 1}, "no": {"yes": 1, "no": 0}}
    report = measured(contest(tmp_path, spec(evaluate={"value": {"costs": costs}})))
    by_name = {c.metric: c for c in report.comparisons}
    assert by_name["value"].challenger == pytest.approx(by_name["accuracy"].challenger - 1)  # type: ignore[operator]
    assert by_name["value"].gain == pytest.approx(by_name["accuracy"].gain)


def test_a_cost_matrix_with_a_gap_is_refused(tmp_path: Path) -> None:
    declared = spec(evaluate={"value": {"costs": {"yes": {"yes": 0, "no": 1}, "no": {"no": 0}}}})
    with pytest.raises(Refused, match="what it costs to answer 'yes' where 'no' is true"):
        contest(tmp_path, declared)


def test_value_comes_from_a_function_of_the_team(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "value.py").write_text("def value(actual, predicted):\n    return -abs(actual - predicted)\n")
    declared = spec("regression", evaluate={"value": {"function": "value.py:value"}})
    by_name = {c.metric: c for c in measured(contest(tmp_path, declared, code=tmp_path / "code")).comparisons}
    assert by_name["value"].challenger == pytest.approx(-by_name["mae"].challenger)  # type: ignore[operator]
    assert by_name["value"].gain_low == pytest.approx(by_name["mae"].gain_low)


@pytest.mark.parametrize(
    ("holdout", "params", "words"),
    [
        (lambda f: f.drop(columns="size"), {}, "the data no longer have its feature 'size'"),
        (lambda f: f.drop(columns="group"), {}, "'group'"),
        (None, {"champion_version": None}, "must come together"),
        (None, {"champion_train_end": "yesterday"}, "not an ISO 8601 time"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, holdout: Any, params: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        contest(tmp_path, holdout=holdout, **params)


def test_a_slice_of_no_column_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"evaluate\.slices names 'grup'.*did you mean 'group'\?"):
        contest(tmp_path, spec(evaluate={"slices": ["grup"]}))


def test_the_page_stands_alone_and_escapes_what_the_data_say(tmp_path: Path) -> None:
    contest(tmp_path)
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data:image/png;base64,") == 3
    stored = EvaluationReport.model_validate_json((tmp_path / "out" / "report" / "report.json").read_text())
    assert stored.rows == 300


@pytest.mark.parametrize("champion", ["weak", None])
def test_page_and_file_show_size_and_latency_of_both_models(tmp_path: Path, champion: str | None) -> None:
    output = contest(tmp_path, champion=champion)
    folder = tmp_path / "out" / "report"
    stored = EvaluationReport.model_validate_json((folder / "report.json").read_text()).measurements
    page = (folder / "report.html").read_text()
    for name in ("latency_p95_ms", "champion_latency_p95_ms"):
        assert stored.get(name) == output.timings.get(name)
        assert name.startswith("champion") is False or (name in stored) is (champion is not None)
    for name in ("size_mb", "latency_p95_ms"):
        assert f'<td class="n">{show_number(stored[name])}</td>' in page
    if champion is not None:
        for name in ("champion_size_mb", "champion_latency_p95_ms"):
            assert f'<td class="n">{show_number(stored[name])}</td>' in page


def test_the_same_request_gives_the_same_report_bytes_but_for_the_latency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "latency_p95_ms", lambda _scorer, _frame: 1.5)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = contest(tmp_path / "a"), contest(tmp_path / "b")
    assert first.report == second.report
    one, other = (artefact_of(o.outputs["report"], o.outputs["report"].parent).sha256 for o in (first, second))
    assert one == other
