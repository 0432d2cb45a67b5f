"""When to retrain: quality and trainings of policies on real streams that drift, and false alarms where nothing does.

Protocol: predict a batch, its labels come after it, then decide; a training reads the last 16 batches, the first one 8.
Batches are dealt a week each, so that one setting of the product's knobs holds for all streams; whoever retrains
promotes. "Gain" is what retraining at every step gains over never; "same budget" is as many trainings at even
distances. Trainings are kept below .understudy/benchmarks, so a second run takes minutes.

Run: ``python benchmarks/drift_quality.py`` (``--only electricity`` for one stream)
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

# Threads that wait for each other make boosting slower, not faster; read when OpenMP is first loaded.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import understudy
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import sha256_of
from understudy.contract.metrics import METRICS
from understudy.contract.replay.plan import Grid, ReplayPlan
from understudy.contract.replay.policies import Policy, parse_policy
from understudy.contract.replay.report import PolicyResult, Walk
from understudy.contract.stage import digest_file
from understudy.contract.words import Takeover, Trigger
from understudy.settings import PROJECT
from understudy.stages.replay.history import History, read_history
from understudy.stages.replay.look import Lookout, decider_of
from understudy.stages.replay.memory import file_of, read_training, write_training
from understudy.stages.replay.results import Hindsight
from understudy.stages.replay.takeover import Gatekeeper
from understudy.stages.replay.training import Training, train_at
from understudy.stages.replay.walk import Choice, Clockwork, Decider, Moment, walk

DATA = PROJECT.parent / "shared" / "data"
KEPT = PROJECT / ".understudy" / "benchmarks" / "drift_quality"
CODE = ("fit", "pipeline", "features", "split", "importance", "replay/training", "replay/memory", "replay/history")
WEEK = timedelta(days=7)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
FIRST, WINDOW = 8, 16  # batches
KNOBS: dict[str, Any] = {
    # The one setting for all streams. A batch is a week; bike's smallest batch of 168 rows needs a window of two.
    "monitor": {"window": "14d"},
    "retrain": {"cooldown": "14d"},
}
OURS = ("hybrid:8w", "hybrid:6w")
REFERENCE_ROWS = 1_000  # up to so many reference rows Evidently tests instead of measuring a distance
EVIDENTLY_DISTANCE, EVIDENTLY_P, EVIDENTLY_SHARE, FEW_VALUES = 0.1, 0.05, 0.5, 5
GOAL_GAIN, GOAL_TRAININGS, GOAL_BEHIND, GOAL_AT_BREAKS, GOAL_FALSE, GOAL_WINDOWS = 0.9, 0.2, 0.01, 0.02, 1, 200


@dataclass(frozen=True)
class Stream:
    """Name a data set, how many of its rows make a batch, and what is learnt from it."""

    file: str
    batch: int
    target: str
    drop: tuple[str, ...]
    task: str = "binary_classification"
    delimiter: str = ","
    order: str | None = None

    @property
    def metric(self) -> str:
        """Accuracy for classes, the mean absolute error of the logarithm for counts."""
        return "mae" if self.task == "regression" else "accuracy"


STREAMS = {
    "electricity": Stream("electricity.csv.gz", 336, "class", ("date", "timestamp")),
    "bike": Stream(
        "bike_hour.csv.gz", 168, "cnt", ("casual", "registered", "instant", "dteday", "timestamp"), "regression"
    ),
    "bank": Stream("bank_marketing.csv.gz", 500, "y", ("duration",), delimiter=";"),
    "insects": Stream("insects_gradual.csv.gz", 300, "species", ("timestamp",), "multiclass_classification"),
}
LINEAR = {True: "logistic_regression", False: "ridge"}
BREAKS = ("bank",)
STILL = ("electricity", "bank", "insects")


def load(name: str, *, shuffled: bool) -> tuple[ModelSpec, pd.DataFrame]:
    """Read a stream; each row gets a time so that a batch is a week."""
    stream = STREAMS[name]
    frame = pd.read_csv(DATA / stream.file, sep=stream.delimiter).drop(columns=list(stream.drop), errors="ignore")
    if stream.task == "regression":
        frame[stream.target] = np.log1p(frame[stream.target])
    if shuffled:
        frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    seconds = np.arange(len(frame)) * (WEEK / stream.batch).total_seconds()
    frame.insert(0, "at", pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"))
    spec = {
        "model": name,
        "owner": "benchmark",
        "task": stream.task,
        "data": {"source": stream.file, "time": "at", "target": stream.target, "window": f"{WINDOW}w"},
        "gates": [{"metric": stream.metric}],
        **KNOBS,
    }
    return ModelSpec.model_validate(spec), frame


@dataclass
class Kept:
    """Train where it is asked for, and remember it on disk."""

    folder: Path
    history: History
    read: dict[int, Training] = field(default_factory=dict)

    def __getitem__(self, place: int) -> Training:
        """Give the training at a moment."""
        if place not in self.read:
            if not file_of(self.folder, place).exists():
                trained = train_at(self.history, place, None, keeps_holdout=False, takeover=Takeover.ALWAYS)
                write_training(self.folder, trained)
            self.read[place] = read_training(self.folder, place, self.history, None)
        return self.read[place]


@dataclass
class EvidentlyPreset:
    """Retrain when Evidently's drift preset, as it comes, calls the data set drifted.

    Its rule: half of the columns; a column by normed Wasserstein or Jensen-Shannon distance of 0.1, or by a test at
    p < 0.05 where the reference has at most 1,000 rows. The HTML, which costs nearly all of its time, is not made.
    """

    history: History
    trainings: Any

    def decide(self, moment: Moment) -> Choice:
        """Compare the last batch with what the model in force was trained on."""
        facts = self.trainings[moment.in_force].facts
        reference = self.history.window.frame.iloc[self.history.known(moment.in_force)]
        current = self.history.window.frame.iloc[self.history.step_rows(moment.place)]
        drifted = [_evidently_says(reference[name], current[name]) for name in facts.features.names]
        is_due = np.mean(drifted) >= EVIDENTLY_SHARE
        return Choice((Trigger.DRIFT,), f"{sum(drifted)} of {len(drifted)} columns") if is_due else Choice()

    def has_trained(self, moment: Moment) -> None:
        """Need no memory."""


def _evidently_says(reference: "pd.Series[Any]", current: "pd.Series[Any]") -> bool:
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import chisquare, ks_2samp, wasserstein_distance

    is_small = len(reference) <= REFERENCE_ROWS
    if pd.api.types.is_numeric_dtype(reference) and reference.nunique() > FEW_VALUES:
        if is_small:
            return bool(ks_2samp(reference, current).pvalue < EVIDENTLY_P)
        distance = wasserstein_distance(reference, current) / max(float(reference.std(ddof=0)), 0.001)
        return bool(distance >= EVIDENTLY_DISTANCE)
    both = (reference.dropna().astype(str), current.dropna().astype(str))
    levels = sorted({*both[0], *both[1]})
    before, now = (column.value_counts(normalize=True).reindex(levels).fillna(0.0) for column in both)
    if not is_small:
        return bool(jensenshannon(before, now) >= EVIDENTLY_DISTANCE)
    kept = before > 0
    expected = before[kept] / before[kept].sum() * (now[kept].sum() * len(current))
    return bool(chisquare(now[kept] * len(current), expected).pvalue < EVIDENTLY_P)


@dataclass
class OnLoss:
    """Retrain when one of river's detectors, fed with the loss of each row, has seen a change within the batch."""

    name: str
    history: History
    trainings: Any
    detector: Any = None

    def decide(self, moment: Moment) -> Choice:
        """Feed the batch that has just got its labels."""
        from river import drift

        if self.detector is None:
            self.detector = {"ADWIN": drift.ADWIN, "DDM": drift.binary.DDM}[self.name]()
        rows = self.history.step_rows(moment.place)
        seen = False
        for loss in self.history.losses(rows, self.trainings[moment.in_force].at(rows).predicted):
            self.detector.update(loss if self.name == "ADWIN" else bool(loss > 0))
            seen = seen or self.detector.drift_detected
        return Choice((Trigger.QUALITY,), f"{self.name} saw a change") if seen else Choice()

    def has_trained(self, moment: Moment) -> None:  # noqa: ARG002 - a decider's signature
        """Begin anew with the new model."""
        self.detector = None


@dataclass(frozen=True)
class Row:
    """Hold one line of the table."""

    stream: str
    model: str
    result: PolicyResult
    windows: int
    no_change: float | None


class Bench:
    """One stream, one estimator."""

    def __init__(self, name: str, estimator: str, *, shuffled: bool) -> None:
        spec, frame = load(name, shuffled=shuffled)
        self.name, self.estimator = name, estimator
        self.spec = spec.model_copy(update={"train": spec.train.model_copy(update={"estimator": estimator})})
        steps = len(frame) // STREAMS[name].batch - FIRST
        moments = tuple(START + WEEK * (FIRST + place) for place in range(steps + 1))
        self.plan = ReplayPlan(
            grid=Grid(moments=moments, window=spec.data.window, label_delay=timedelta()),
            policies=(),
            takeover=Takeover.ALWAYS,
            keeps_holdout=False,
        )
        folder = KEPT / f"{name}-{estimator}{'-shuffled' if shuffled else ''}"
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / "data.parquet"
        frame.to_parquet(data, index=False)
        self.history = read_history(data, self.spec, self.plan.grid)
        key = sha256_of([self.spec.model_dump(mode="json", exclude={"monitor", "retrain"}), digest_file(data), code()])
        trainings = folder / key[:16]
        trainings.mkdir(exist_ok=True)
        self.trainings = Kept(trainings, self.history)
        self.lookout = Lookout(self.history, self.trainings)
        self.gatekeeper = Gatekeeper(self.history, self.trainings, self.plan, None)

    def train_all(self) -> None:
        """Train at every moment, so that policies are played in no time."""
        for place in range(self.plan.grid.steps):
            self.trainings[place]

    def deciders(self) -> Iterator[tuple[str, Decider]]:
        """Give all that are compared."""
        yield "never", Clockwork(parse_policy("never"))
        yield "every", Clockwork(parse_policy("every"))
        yield "every 2", Clockwork(parse_policy("schedule:2w"))
        yield "Evidently preset", EvidentlyPreset(self.history, self.trainings)
        yield "ADWIN", OnLoss("ADWIN", self.history, self.trainings)
        if self.history.classes:
            yield "DDM", OnLoss("DDM", self.history, self.trainings)
        for name in ("drift", "quality", "hybrid", *OURS):
            yield f"ours: {name}", self.ours(parse_policy(name))

    def ours(self, policy: Policy) -> Decider:
        """Give the product's own decision."""
        return decider_of(policy, self.lookout)

    def walk(self, name: str, decider: Decider) -> Walk:
        """Let a policy walk through the stream."""
        return walk(name, decider, self.plan.grid, self.gatekeeper)

    def rows(self) -> Iterator[Row]:
        """Play all policies."""
        self.train_all()
        hindsight = Hindsight.of(self.history, self.trainings, self.gatekeeper)
        baseline = hindsight.no_change(None)
        for name, decider in self.deciders():
            judged = hindsight.judge(self.walk(name, decider))
            yield Row(self.name, self.estimator, judged, self.plan.grid.steps, baseline)


def code() -> str:
    """Digest what decides a training's numbers."""
    stages = Path(understudy.__file__).parent / "stages"
    return hashlib.sha256(b"".join((stages / f"{name}.py").read_bytes() for name in CODE)).hexdigest()


def main() -> int:
    """Print one table for the streams that move, one for those that stand still, and the goals."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", choices=sorted(STREAMS), help="One stream instead of all.")
    asked.add_argument("--train", action="store_true", help="Only train what is not kept yet.")
    given = asked.parse_args()
    if not DATA.is_dir():
        print(f"The public data sets are not at {DATA}; nothing is measured.")
        return 0
    names = [given.only] if given.only else list(STREAMS)
    pairs = [(n, e) for n in names for e in (LINEAR[STREAMS[n].task != "regression"], "hist_gradient_boosting")]
    if given.train:
        for name, estimator in pairs:
            Bench(name, estimator, shuffled=False).train_all()
        return 0
    console = Console(width=150)
    found = []
    for name, estimator in pairs:
        rows = list(Bench(name, estimator, shuffled=False).rows())
        console.print(table_of(rows))
        found += rows
    still = [(name, *still_alarms(name)) for name in names if name in STILL]
    console.print(still_table(still))
    for policy in OURS:
        console.print(goals(policy, found, still))
    return 0


def still_alarms(name: str) -> tuple[int, dict[str, int]]:
    """Count trainings on a shuffled stream, where every one of them is false; the maximum age is off."""
    bench = Bench(name, LINEAR[True], shuffled=True)
    policies = {"drift": bench.ours(parse_policy("drift")), "quality": bench.ours(parse_policy("quality"))}
    deciders: dict[str, Decider] = {
        **{f"ours: {policy}": decider for policy, decider in policies.items()},
        "ours: hybrid": bench.ours(parse_policy("hybrid")),
        "Evidently preset": EvidentlyPreset(bench.history, bench.trainings),
        "ADWIN": OnLoss("ADWIN", bench.history, bench.trainings),
        "DDM": OnLoss("DDM", bench.history, bench.trainings),
    }
    alarms = {policy: len(bench.walk(policy, decider).retrainings) for policy, decider in deciders.items()}
    return bench.plan.grid.steps - 1, alarms


def table_of(rows: list[Row]) -> Table:
    """Draw one stream and model."""
    first, metric = rows[0], STREAMS[rows[0].stream].metric
    shown = Table(title=f"{first.stream}, {first.model} ({first.windows} batches; no change {show(first.no_change)})")
    shown.add_column("policy")
    for column in (metric, "trainings", "of gain", "same budget", "ahead", "regret", "false", "kappa temporal"):
        shown.add_column(column, justify="right")
    for row in rows:
        r = row.result
        shown.add_row(
            r.policy,
            show(r.quality),
            f"{r.trainings} ({r.share_of_trainings or 0:.0%})",
            "–" if r.share_of_gain is None else f"{r.share_of_gain:.0%}",
            show(r.same_budget),
            f"{ahead(r, metric):+.4f}",
            show(r.regret),
            str(r.false_alarms),
            show(r.kappa_temporal),
        )
    return shown


def show(value: float | None) -> str:
    """Write a number; a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"


def ahead(result: PolicyResult, metric: str) -> float:
    """Give how much better a policy is than the schedule of the same budget."""
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    return sign * ((result.quality or 0.0) - (result.same_budget or 0.0))


def still_table(still: list[tuple[str, int, dict[str, int]]]) -> Table:
    """Draw the false alarms."""
    shown = Table(title="Trainings on shuffled streams, where nothing ever changes (maximum age off)")
    shown.add_column("stream")
    shown.add_column("windows", justify="right")
    policies = list(still[0][2]) if still else []
    for policy in policies:
        shown.add_column(policy, justify="right")
    for name, windows, alarms in still:
        shown.add_row(name, str(windows), *(str(alarms[policy]) for policy in policies))
    return shown


def goals(policy: str, rows: list[Row], still: list[tuple[str, int, dict[str, int]]]) -> Table:
    """Compare with the goals; bank with boosting is no part of the mean, as nearly nothing can be gained there."""
    ours = [row for row in rows if row.result.policy == f"ours: {policy}"]
    counted = [r for r in ours if not (r.stream == "bank" and r.model == "hist_gradient_boosting")]
    behind = {f"{r.stream}, {r.model}": ahead(r.result, STREAMS[r.stream].metric) for r in ours}
    breaks = [v for r, v in zip(ours, behind.values(), strict=True) if r.stream in BREAKS and r in counted]
    windows, alarms = sum(w for _, w, _ in still), sum(a["ours: hybrid"] for _, _, a in still)
    worst = min(behind, key=lambda name: behind[name])
    gain = float(np.mean([r.result.share_of_gain or 0.0 for r in counted]))
    trainings = float(np.mean([r.result.share_of_trainings or 0.0 for r in counted]))
    shown = Table(title=f"Goals, policy {policy}")
    for column in ("goal", "measured", "reached"):
        shown.add_column(column)
    allowed = GOAL_FALSE * max(1.0, windows / GOAL_WINDOWS)
    for goal, measured, reached in (
        (f"mean share of the gain ≥ {GOAL_GAIN:.0%}", f"{gain:.0%}", gain >= GOAL_GAIN),
        (f"share of the trainings ≤ {GOAL_TRAININGS:.0%}", f"{trainings:.0%}", trainings <= GOAL_TRAININGS),
        (
            f"never more than {GOAL_BEHIND:.0%} behind the same budget",
            f"{behind[worst]:+.4f} ({worst})",
            behind[worst] >= -GOAL_BEHIND,
        ),
        *(
            (f"≥ {GOAL_AT_BREAKS:.0%} ahead of the same budget at a break", f"{value:+.4f}", value >= GOAL_AT_BREAKS)
            for value in breaks
        ),
        (f"≤ {GOAL_FALSE} false in {GOAL_WINDOWS} windows", f"{alarms} in {windows}", alarms <= allowed),
    ):
        shown.add_row(goal, measured, "yes" if reached else "no")
    return shown


if __name__ == "__main__":
    sys.exit(main())
