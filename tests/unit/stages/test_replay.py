"""A replay's walk through a past with a known break: what is known when, who trains, and what is said afterwards."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.replay.plan import Grid, ReplayPlan
from understudy.contract.replay.policies import parse_policies, parse_policy
from understudy.contract.replay.report import ReplayReport
from understudy.contract.stage import StageRequest
from understudy.contract.words import Takeover
from understudy.stages.context import Refused, StageContext, StageOutput
from understudy.stages.replay import run
from understudy.stages.replay.hindsight import Losses, evenly
from understudy.stages.replay.history import History, read_history
from understudy.stages.replay.training import train_at

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ROWS = 2400  # 100 days of hours
BREAK = 60  # the day on which what the columns mean turns around
POLICIES = "never,schedule:30d,quality,hybrid:15d,every"


def rows(seed: int = 0, *, is_broken: bool = True) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=ROWS), draw.normal(size=ROWS)
    sign = np.where((np.arange(ROWS) >= BREAK * 24) & is_broken, -1, 1)
    at = pd.date_range(START, periods=ROWS, freq="h")
    return pd.DataFrame({"at": at, "a": a, "b": b, "up": (sign * a + 0.3 * draw.normal(size=ROWS) > 0).astype(int)})


def spec(**sections: Any) -> ModelSpec:
    body = {
        "model": "prices",
        "owner": "team",
        "task": "binary_classification",
        "data": {"source": "a.csv", "time": "at", "target": "up", "window": "20d"},
        "train": {"estimator": "logistic_regression"},
        "evaluate": {"must_beat": ["dummy"]},
        "gates": [{"metric": "accuracy", "min_rows": 50}],
        "monitor": {"window": "5d", "min_rows": 50},
        "retrain": {"cooldown": "5d"},
        **sections,
    }
    return ModelSpec.model_validate(body)


def grid(declared: ModelSpec, first: int = 20, days: int = 5) -> Grid:
    moments = tuple(START + DAY * day for day in range(first, 101, days))
    return Grid(moments=moments, window=declared.data.window, label_delay=declared.data.label_delay)


def history(frame: pd.DataFrame, folder: Path, declared: ModelSpec | None = None) -> History:
    declared = declared or spec()
    frame.to_parquet(folder / "data.parquet", index=False)
    return read_history(folder / "data.parquet", declared, grid(declared))


class Bench:
    """A replay's three parts as containers would do them, one after the other."""

    def __init__(self, folder: Path, frame: pd.DataFrame, declared: ModelSpec, **plan: Any) -> None:
        self.folder, self.declared = folder, declared
        self.data = folder / "data.parquet"
        frame.to_parquet(self.data, index=False)
        plan = {"takeover": Takeover.ALWAYS, "policies": parse_policies(POLICIES), **plan}
        self.plan = ReplayPlan(grid=grid(declared), **plan)
        self.trainings = folder / "trainings"
        self.trainings.mkdir()

    def train(self, places: list[int]) -> None:
        outputs = self.folder / f"train-{places[0]}"
        self._ask("train", outputs, {}, places=places)
        for path in (outputs / "trainings").iterdir():
            path.replace(self.trainings / path.name)

    def replay(self, name: str = "first") -> tuple[ReplayReport, Path]:
        self.train(list(range(self.plan.grid.steps)))
        return self.report(name)

    def report(self, name: str) -> tuple[ReplayReport, Path]:
        mounted = {"trainings": self.trainings}
        policies = [policy.name for policy in self.plan.policies]
        walked = self._ask("walk", self.folder / f"walk-{name}", mounted, policies=policies)
        assert isinstance(walked.report, dict)
        found = self._ask("report", self.folder / f"report-{name}", mounted, walks=walked.report["walks"])
        assert isinstance(found.report, ReplayReport)
        return found.report, found.outputs["report"]

    def _ask(self, part: str, outputs: Path, inputs: dict[str, Path], **params: Any) -> StageOutput:
        outputs.mkdir()
        request = StageRequest(
            stage="replay", model="prices", run="r", as_of=START, spec=self.declared.model_dump(mode="json"),
            params={"part": part, "plan": self.plan.model_dump(mode="json"), **params},
        )  # fmt: skip
        return run(StageContext(request, {"data.parquet": self.data, **inputs}, outputs))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> ReplayReport:
    report, _ = Bench(tmp_path_factory.mktemp("replay"), rows(), spec()).replay()
    return report


def of(report: ReplayReport, policy: str) -> Any:
    return next(result for result in report.policies if result.policy == policy)


def test_lost_quality_makes_a_training_due_after_the_break_and_not_before(told: ReplayReport) -> None:
    at = [retraining.at for retraining in of(told, "quality").walk.retrainings]
    assert at
    assert min(at) > START + DAY * BREAK
    assert min(at) <= START + DAY * (BREAK + 10)


def test_never_and_every_are_the_ends_of_the_gain(told: ReplayReport) -> None:
    assert of(told, "never").share_of_gain == 0
    assert of(told, "every").share_of_gain == 1
    assert 0.4 < of(told, "hybrid:15d").share_of_gain <= 1.1
    assert of(told, "hybrid:15d").trainings < of(told, "every").trainings


def test_no_policy_beats_the_best_choice_of_as_many_trainings(told: ReplayReport) -> None:
    assert all((result.regret or 0.0) >= -1e-12 for result in told.policies)


def test_the_recommended_policy_is_one_that_was_played(told: ReplayReport) -> None:
    assert told.recommendation is not None
    assert told.recommendation.policy in {result.policy for result in told.policies}


def test_killed_and_resumed_it_writes_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = (tmp_path / name for name in ("whole", "broken"))
    whole.mkdir()
    broken.mkdir()
    one, other = Bench(whole, rows(), spec()), Bench(broken, rows(), spec())
    _, first = one.replay()
    steps = one.plan.grid.steps
    other.train(list(range(5, steps)))  # in another order, in two containers
    other.train(list(range(5)))
    _, second = other.report("again")
    for name in ("replay.json", "replay.html", "quality.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_column_that_tells_the_future_only_later_gains_nothing(tmp_path: Path) -> None:
    """The oracle holds the label, but only in rows whose label is not known yet at any training before them."""
    told = []
    for name in ("plain", "oracle"):
        frame = rows(is_broken=False)
        known = np.arange(ROWS) < 20 * 24
        oracle = np.random.default_rng(5).integers(0, 2, ROWS) if name == "plain" else frame["up"].to_numpy()
        frame["oracle"] = np.where(known, np.random.default_rng(6).integers(0, 2, ROWS), oracle)
        folder = tmp_path / name
        folder.mkdir()
        told.append(train_at(history(frame, folder), 0, None, keeps_holdout=True, takeover=Takeover.ALWAYS))
    without, with_it = (training.facts for training in told)
    assert without == with_it


def test_rows_of_the_future_change_no_training(tmp_path: Path) -> None:
    declared = spec(data={**spec().data.model_dump(mode="json"), "label_delay": "3d"})
    clean = history(rows(), tmp_path, declared)
    place = 4
    poisoned = rows()
    planted = clean.before(clean.grid.known_until(place))
    poisoned.loc[planted:, "up"] = 1 - poisoned.loc[planted:, "up"]
    poisoned.loc[planted:, "a"] += 100
    (tmp_path / "other").mkdir()
    other = history(poisoned, tmp_path / "other", declared)
    ours, theirs = (
        train_at(past, place, None, keeps_holdout=True, takeover=Takeover.ALWAYS) for past in (clean, other)
    )
    assert ours.facts == theirs.facts
    assert ours.blessed is not None
    assert theirs.blessed is not None
    assert np.array_equal(ours.blessed.predicted, theirs.blessed.predicted)


@settings(max_examples=50, deadline=None)
@given(
    place=st.integers(0, 15),
    delay_h=st.integers(0, 24 * 15),
    window_d=st.one_of(st.none(), st.integers(1, 40)),
)
def test_a_training_reads_no_row_whose_label_is_not_known(place: int, delay_h: int, window_d: int | None) -> None:
    stamps = pd.Series(pd.date_range(START, periods=ROWS, freq="h"))
    past = _bare_history(stamps, timedelta(hours=delay_h), None if window_d is None else DAY * window_d)
    known = past.known(place)
    moment = past.grid.moments[place]
    read = stamps[known.start : known.stop]
    assert (read + timedelta(hours=delay_h) < moment).all()
    if window_d is not None:
        assert (read >= moment - timedelta(hours=delay_h) - DAY * window_d).all()
    steps = [past.step_rows(step) for step in range(1, past.grid.steps + 1)]
    assert np.array_equal(np.concatenate(steps), np.arange(past.before(past.grid.moments[0]), ROWS))


def _bare_history(stamps: "pd.Series[Any]", delay: timedelta, window: timedelta | None) -> History:
    from understudy.stages.window import Window

    moments = tuple(START + DAY * day for day in range(20, 101, 5))
    frame = pd.DataFrame({"at": stamps})
    return History(
        spec(), Window(frame, np.zeros(len(stamps), dtype=np.int64), stamps),
        Grid(moments=moments, window=window, label_delay=delay),
    )  # fmt: skip


def test_the_best_choice_is_found_exactly() -> None:
    draw = np.random.default_rng(3)
    steps = 7
    sums = np.where(np.tri(steps, k=-1).astype(bool), np.nan, draw.random((steps, steps)))
    losses = Losses(sums, np.full(steps, 10))
    for count, found in enumerate(losses.best(4)):
        tried = min(
            losses.of(in_force(places, steps))
            for size in range(count + 1)
            for places in itertools.combinations(range(1, steps), size)
        )
        assert found == pytest.approx(tried)


def in_force(places: tuple[int, ...], steps: int) -> tuple[int, ...]:
    return tuple(max([0, *(place for place in places if place <= step)]) for step in range(steps))


def test_a_training_that_was_refused_is_never_the_best_choice() -> None:
    sums = np.array([[1.0, 9.0, 9.0], [np.nan, np.nan, np.nan], [np.nan, np.nan, 1.0]])
    assert Losses(sums, np.full(3, 1)).best(1).tolist() == pytest.approx([19 / 3, 11 / 3])


@pytest.mark.parametrize(
    ("count", "steps", "places"), [(0, 9, ()), (1, 10, (5,)), (3, 8, (2, 4, 6)), (9, 10, range(1, 10))]
)
def test_the_same_budget_lies_at_even_distances(count: int, steps: int, places: Any) -> None:
    assert evenly(count, steps) == tuple(places)


def test_the_gates_turn_worse_challengers_away(tmp_path: Path) -> None:
    strict = spec(gates=[{"metric": "accuracy", "min_rows": 50, "min_gain": 0.3}])
    plan = {"takeover": Takeover.GATES, "policies": parse_policies("every")}
    report, _ = Bench(tmp_path, rows(), strict, **plan).replay()
    every = of(report, "every")
    assert every.trainings == 15
    assert every.took_over <= 2  # only the one that has learned the new world is better by so much
    assert any("did not take over" in note for note in report.notes)


def test_steps_of_a_single_class_have_no_area_under_a_curve(tmp_path: Path) -> None:
    frame = rows(is_broken=False)
    frame.loc[24 * 50 : 24 * 55 - 1, "up"] = 1
    curve = spec(gates=[{"metric": "roc_auc", "min_rows": 50}])
    report, _ = Bench(tmp_path, frame, curve, policies=parse_policies("never")).replay()
    assert of(report, "never").by_step.count(None) == 1
    assert any("1 of 16 steps have no roc_auc" in note for note in report.notes)


def test_a_policy_that_never_trains_is_named(tmp_path: Path) -> None:
    report, _ = Bench(tmp_path, rows(is_broken=False), spec(), policies=parse_policies("quality")).replay()
    assert of(report, "quality").trainings == 0
    assert any("quality never trained" in note for note in report.notes)


def test_a_first_training_with_one_class_is_refused_in_one_sentence(tmp_path: Path) -> None:
    frame = rows()
    frame.loc[: 24 * 21, "up"] = 1
    bench = Bench(tmp_path, frame, spec())
    with pytest.raises(Refused, match=r"first training.*single class"):
        bench.replay()


def test_a_regression_is_replayed_by_its_error(tmp_path: Path) -> None:
    frame = rows()
    frame["up"] = frame["a"] * np.where(np.arange(ROWS) < BREAK * 24, 1.0, -1.0)
    numbers = spec(task="regression", gates=[{"metric": "mae", "min_rows": 50}], train={"estimator": "ridge"})
    report, _ = Bench(tmp_path, frame, numbers, policies=parse_policies("never,quality,every")).replay()
    assert of(report, "every").quality < of(report, "never").quality
    assert 0 < of(report, "quality").share_of_gain < 1
    assert of(report, "quality").kappa_temporal is None


def test_thinned_steps_are_spread_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.stages.replay.history.MAX_STEP_ROWS", 10)
    past = history(rows(), tmp_path)
    assert past.is_thinned
    assert [len(past.step_rows(step)) for step in range(1, past.grid.steps + 1)] == [10] * past.grid.steps
    assert replace(past, grid=replace_step(past.grid)).step_rows(1).size


def replace_step(old: Grid) -> Grid:
    return old.model_copy(update={"moments": old.moments[::2]})


def test_knobs_of_the_declaration_hold_a_policy_back(tmp_path: Path) -> None:
    slow = spec(retrain={"cooldown": "90d"})
    report, _ = Bench(tmp_path, rows(), slow, policies=(parse_policy("quality"),)).replay()
    assert of(report, "quality").trainings == 0
    assert of(report, "quality").walk.held_back > 0
