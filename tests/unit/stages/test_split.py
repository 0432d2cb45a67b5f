"""No training sees a holdout row, whatever the times look like."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused
from understudy.stages.row_hash import row_places
from understudy.stages.split import Unsplittable, split_file, split_window
from understudy.stages.window import Window, read_window

PINNED = [0.5803578890831305, 0.7247915565173173]
START = np.datetime64("2024-01-01T00:00:00", "us")


def spec(*, time: str | None = "t", key: tuple[str, ...] = (), **split: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "owner": "o",
            "task": "regression",
            "data": {"source": "a.csv", "target": "y", "time": time, "key": key},
            "split": {"method": "time" if time else "random", **split},
            "gates": [{"metric": "mae"}],
        }
    )


def dated(minutes: list[int]) -> Window:
    times = pd.Series(START + np.sort(np.array(minutes)).astype("timedelta64[m]")).dt.tz_localize("UTC")
    frame = pd.DataFrame({"t": times, "x": np.arange(len(minutes)), "y": 1.0})
    return Window(frame, np.ones(len(minutes)), times)


def undated(values: "np.ndarray[Any, Any]") -> Window:
    return Window(pd.DataFrame({"x": values, "y": 1.0}), np.ones(len(values)), None)


SIZES = st.sampled_from(["5%", "20%", "33.3%", "50%", "45m", "6h"])


@settings(max_examples=200, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 3000), min_size=60, max_size=400),
    holdout=SIZES,
    validation=SIZES,
    embargo=st.sampled_from(["0s", "1m", "30m", "3h"]),
)
def test_every_part_is_strictly_newer_than_what_may_be_fitted_before_it(
    minutes: list[int], holdout: str, validation: str, embargo: str
) -> None:
    window, declared = dated(minutes), spec(holdout=holdout, validation=validation, embargo=embargo)
    try:
        split = split_window(window, declared)
    except Refused:
        return  # too few rows for such a split; which refusals there are is tested below
    assert window.times is not None
    times, gap = window.times, declared.split.embargo
    assert times.iloc[split.rest].max() + gap < times.iloc[split.holdout].min()
    assert times.iloc[split.train].max() + gap < times.iloc[split.validation].min()
    assert set(split.train) | set(split.validation) <= set(split.rest)
    assert sorted([*split.rest, *split.embargoed, *split.holdout]) == list(range(len(window)))


def test_rows_of_one_instant_are_never_torn_apart() -> None:
    window = dated([minute for minute in range(100) for _ in range(7)])
    split = split_window(window, spec(holdout="21%"))
    assert len(split.holdout) % 7 == 0
    assert len(split.holdout) >= 0.21 * len(window)


def test_a_duration_takes_the_newest_rows_of_that_length() -> None:
    split = split_window(dated(list(range(1000))), spec(holdout="100m", validation="50m", embargo="10m"))
    assert (len(split.holdout), len(split.embargoed), len(split.validation)) == (100, 10, 50)
    assert len(split.train) == 1000 - 100 - 10 - 50 - 10


@pytest.mark.parametrize(
    ("minutes", "declared", "field", "says"),
    [
        (
            list(range(12)),
            spec(),
            "split.holdout",
            "holdout part has 3 of the window's 12 rows, 10 are needed: deliver",
        ),
        (list(range(12)), spec(), "split.holdout", "(about 100 in all), or change split.holdout (20%)"),
        ([5] * 500, spec(), "data.window", "rows of one time stay together, and these have 1 different time)"),
        (list(range(500)), spec(embargo="9h"), "data.window", "split.embargo (9h)"),
        (list(range(500)), spec(holdout="3m"), "split.holdout", "deliver more rows, or change split.holdout (3m)"),
        (list(range(500)), spec(validation="2m"), "split.validation", "split.validation (2m)"),
    ],
)
def test_a_part_with_too_few_rows_is_refused_with_the_numbers_and_settings_that_made_it(
    minutes: list[int], declared: ModelSpec, field: str, says: str
) -> None:
    with pytest.raises(Unsplittable) as caught:
        split_window(dated(minutes), declared)
    assert caught.value.field == field
    assert says in str(caught.value)


@pytest.mark.parametrize("declared", [spec(), spec(embargo="1h"), spec(time=None), spec(time=None, key=("id",))])
def test_a_file_is_split_exactly_as_the_window_that_is_read_from_it(tmp_path: Path, declared: ModelSpec) -> None:
    draw = np.random.default_rng(0)
    rows = 500
    frame = pd.DataFrame(
        {
            "t": START + draw.integers(0, 9000, rows).astype("timedelta64[m]"),
            "id": np.arange(rows),
            "text": [("a", "b", None)[number] for number in draw.integers(0, 3, rows)],
            "flag": [(True, False, None)[number] for number in draw.integers(0, 3, rows)],
            "x": np.where(draw.uniform(size=rows) < 0.1, np.nan, draw.normal(size=rows)),
            "y": draw.normal(size=rows),
        }
    )
    frame.to_parquet(tmp_path / "data.parquet", index=False)
    whole = split_window(read_window(tmp_path / "data.parquet", declared), declared)
    alone = split_file(tmp_path / "data.parquet", declared)
    for part in ("train", "validation", "rest", "embargoed", "holdout"):
        np.testing.assert_array_equal(getattr(alone, part), getattr(whole, part))
    assert alone.holdout_below == whole.holdout_below


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dropped=st.integers(0, 300))
def test_an_undated_row_stays_on_its_side_in_every_later_window(seed: int, dropped: int) -> None:
    draw = np.random.default_rng(seed)
    first = undated(draw.normal(size=600))
    declared = spec(time=None)
    later = undated(np.concatenate([draw.permutation(first.frame["x"].to_numpy())[dropped:], draw.normal(size=400)]))
    kept, learned = split_window(first, declared), split_window(later, declared)
    held_out_first = set(first.frame["x"].iloc[kept.holdout])
    assert held_out_first.isdisjoint(later.frame["x"].iloc[learned.rest])
    assert set(later.frame["x"].iloc[learned.holdout]).isdisjoint(first.frame["x"].iloc[kept.rest])


def test_the_undated_parts_have_the_declared_size() -> None:
    split = split_window(undated(np.arange(20_000.0)), spec(time=None, holdout="20%", validation="25%"))
    assert len(split.holdout) == pytest.approx(4000, rel=0.05)
    assert len(split.validation) == pytest.approx(4000, rel=0.05)


def test_a_rows_place_survives_a_change_of_type_and_of_column_order() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "s": ["a", None, "c"], "y": [0.5, 1.5, 2.5]})
    other = frame[["y", "s", "x"]].astype({"x": "float64", "s": "object"})
    np.testing.assert_array_equal(row_places(frame, spec(time=None).data), row_places(other, spec(time=None).data))


def test_with_a_key_only_the_key_decides() -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "x": [0.1, 0.2, 0.3], "y": 1.0})
    declared = spec(time=None, key=("id",)).data
    np.testing.assert_array_equal(row_places(frame, declared), row_places(frame.assign(x=9.9, y=0.0), declared))


def test_places_are_pinned_so_that_no_release_moves_rows_between_the_parts() -> None:
    frame = pd.DataFrame({"x": [1, 2], "s": ["a", "b"], "y": [0.5, 1.5]})
    np.testing.assert_allclose(row_places(frame, spec(time=None).data), PINNED, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("rare", "says"),
    [
        (
            range(320, 400, 2),
            "the train part of 256 rows has the single class 'no' of 'y', so there is nothing to learn",
        ),
        (
            [*range(0, 200, 2), *range(320, 400, 2)],
            "the validation part of 64 rows has the single class 'no' of 'y', so nothing can be measured",
        ),
        (range(0, 300, 2), "the holdout part of 80 rows has the single class 'no' of 'y', so nothing can be measured"),
    ],
)
def test_a_part_of_one_class_is_refused(tmp_path: Path, rare: Sequence[int], says: str) -> None:
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=400, freq="h"), "x": 1.0, "y": "no"})
    frame.loc[list(rare), "y"] = "yes"
    frame.to_parquet(tmp_path / "data.parquet")
    declared = ModelSpec.model_validate(
        {**spec().model_dump(), "task": "binary_classification", "gates": [{"metric": "accuracy"}]}
    )
    with pytest.raises(Unsplittable, match=says) as caught:
        split_window(read_window(tmp_path / "data.parquet", declared), declared)
    assert "check the labels, deliver more rows, or change split.holdout (20%)" in str(caught.value)


def test_a_part_of_one_number_is_refused_only_where_a_gate_measures_the_variance_explained() -> None:
    window = dated(list(range(500)))
    varied = Window(window.frame, np.where(np.arange(500) < 350, np.arange(500.0), 7.0), window.times)
    split_window(varied, spec())
    by_r2 = ModelSpec.model_validate({**spec().model_dump(), "gates": [{"metric": "mae"}, {"metric": "r2"}]})
    with pytest.raises(Unsplittable, match=r"holdout part of 100 rows has the single value '7\.0' of 'y'"):
        split_window(varied, by_r2)


@pytest.mark.parametrize(("metric", "is_refused"), [("balanced_accuracy", False), ("roc_auc", True)])
def test_one_of_several_classes_is_enough_to_be_tested_on_where_every_gate_can_be_measured(
    metric: str, is_refused: bool
) -> None:
    window = dated(list(range(500)))
    labels = np.where(np.arange(500) < 350, np.array(["ant", "bee", "wasp"])[np.arange(500) % 3], "bee")
    declared = ModelSpec.model_validate(
        {**spec().model_dump(), "task": "multiclass_classification", "gates": [{"metric": metric}]}
    )
    swarm = Window(window.frame, labels, window.times)
    if is_refused:
        with pytest.raises(Unsplittable, match="holdout part of 100 rows has the single class 'bee' of 'y'"):
            split_window(swarm, declared)
    else:
        assert len(split_window(swarm, declared).holdout) == 100
    alone = Window(window.frame, np.where(np.arange(500) < 350, "bee", labels[::-1]), window.times)
    with pytest.raises(Unsplittable, match="train part of 320 rows has the single class 'bee' of 'y', so there is"):
        split_window(alone, declared)
