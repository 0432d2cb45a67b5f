"""A look at a small served model: quiet on more of the same, a named finding or one sentence on everything hostile."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judges.monitoring import judge_monitoring
from understudy.contract.monitoring import Decision, DriftReport, History, MonitorReport, PastLook, QualityReport
from understudy.contract.stage import StageRequest
from understudy.contract.words import Trigger, Verdict, Watched
from understudy.stages.context import Refused, StageContext, StageOutput
from understudy.stages.drift.stage import run as measure_drift
from understudy.stages.quality.stage import run as measure_quality
from understudy.stages.train import run as train

NOW = datetime(2024, 7, 1, tzinfo=timezone.utc)
SPEC: dict[str, Any] = {
    "model": "m",
    "owner": "team",
    "task": "binary_classification",
    "data": {"source": "a.csv", "target": "won", "time": "at"},
    "train": {"estimator": "logistic_regression"},
    "checks": {"columns": {"size": {"min": -20, "max": 20}}},
    "gates": [{"metric": "roc_auc"}],
    "monitor": {"window": "14d"},
}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def rows(count: int, start: str, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    size = draw.normal(size=count)
    return pd.DataFrame(
        {
            "at": pd.date_range(start, periods=count, freq="h", tz="UTC"),
            "size": size,
            "noise": draw.normal(size=count),
            "group": draw.choice(["x", "y"], count),
            "won": np.where(draw.uniform(size=count) < 1 / (1 + np.exp(-2 * size)), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the champion that all looks here are at."""
    folder = tmp_path_factory.mktemp("champion")
    rows(3000, "2024-01-01", seed=0).to_parquet(folder / "data.parquet")
    output = train(context("train", {"data.parquet": folder / "data.parquet"}, folder / "out"))
    (folder / "training.json").write_text(json.dumps(output.report.model_dump(mode="json")))  # type: ignore[union-attr]
    return folder


def context(
    stage: str, inputs: dict[str, Path], outputs: Path, spec: dict[str, Any] = SPEC, **more: str
) -> StageContext:
    outputs.mkdir(parents=True, exist_ok=True)
    params: dict[str, Any] = {"watched": "gateway", "champion_version": 3, "reference_data": "v1", **more}
    request = StageRequest(stage=stage, model="m", run="r", as_of=NOW, spec=spec, params=params)
    return StageContext(request, inputs, outputs)


class Looking:
    """Look at a window of live rows, changed by a test."""

    def __init__(self, shelf: Path, folder: Path) -> None:
        self.shelf, self.folder = shelf, folder
        self.spec, self.params = SPEC, dict[str, str]()

    def at(self, change: Change = lambda rows: rows, **more: Path) -> Callable[[Any], StageOutput]:
        current = self.folder / "current.parquet"
        change(rows(600, "2024-06-01", seed=1)).to_parquet(current)
        inputs = {
            "current.parquet": current,
            "reference.parquet": self.shelf / "data.parquet",
            "champion": self.shelf / "out" / "model",
            "training.json": self.shelf / "training.json",
            **{f"{name}.parquet": path for name, path in more.items()},
        }
        return lambda stage: stage(context(stage.__module__, inputs, self.folder / "out", self.spec, **self.params))

    def drift(self, change: Change = lambda rows: rows, **more: Path) -> DriftReport:
        report = self.at(change, **more)(measure_drift).report
        assert isinstance(report, DriftReport)
        return report

    def quality(self, change: Change = lambda rows: rows) -> QualityReport:
        report = self.at(change)(measure_quality).report
        assert isinstance(report, QualityReport)
        return report


@pytest.fixture
def look(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looking:
    """Look without Evidently's page and the classifier, which cost seconds; two tests below have them."""
    monkeypatch.setattr("understudy.stages.drift.write.write_evidently", lambda *_: None)
    monkeypatch.setattr("understudy.stages.drift.measure.domain_auc", lambda *_: None)
    monkeypatch.setattr("understudy.stages.drift.baseline.usual_domain_auc", lambda *_: None)
    return Looking(shelf, tmp_path)


def decide(drift: DriftReport | None, quality: QualityReport | None) -> Decision:
    spec = ModelSpec.model_validate(SPEC)
    assert spec.monitor is not None
    seen = PastLook(at=NOW, champion_version=3, window_end=NOW - timedelta(days=3), is_drifting=True)
    report = MonitorReport(
        model="m",
        watched=Watched.GATEWAY,
        champion_version=3,
        champion_since=NOW,
        as_of=NOW,
        window_start=NOW - timedelta(days=14),
        window_end=NOW,
        drift=drift,
        quality=quality,
    )
    return judge_monitoring(report, spec.monitor, spec.retrain, History(looks=(seen,)))


def test_more_of_the_same_is_quiet(look: Looking) -> None:
    decision = decide(look.drift(), look.quality())
    assert {r.gate: r.verdict for r in decision.judgement.results if r.verdict is not Verdict.PASSED} == {
        "together": Verdict.INCONCLUSIVE  # the classifier is switched off here
    }
    assert not decision.reasons


def test_a_shift_of_what_matters_is_drift(look: Looking) -> None:
    report = look.drift(lambda rows: rows.assign(size=rows["size"] + 2))
    assert [column.column for column in report.columns if column.has_moved] == ["size"]
    assert report.prediction is not None
    assert report.prediction.has_moved
    assert decide(report, None).reasons == (Trigger.DRIFT,)


def test_a_changed_relation_is_lost_quality(look: Looking) -> None:
    report = look.quality(lambda rows: rows.assign(won=np.where(rows["won"] == "yes", "no", "yes")))
    assert decide(None, report).reasons == (Trigger.QUALITY,)
    assert report.estimate == pytest.approx(report.blessed_loss, abs=0.05)  # a guess cannot see it


def test_late_labels_are_not_lost_quality(look: Looking) -> None:
    report = look.quality(lambda rows: rows.assign(won=None))
    assert (report.rows, report.labelled_rows, report.loss) == (600, 0, None)
    assert report.estimate is not None
    assert not decide(None, report).reasons


def test_labels_count_when_they_are_final_however_long_that_takes(look: Looking) -> None:
    """Labels are final after 10 days and the window is as long: what is judged ends where the window begins."""
    look.spec = {**SPEC, "data": {**SPEC["data"], "label_delay": "10d"}, "monitor": {"window": "10d"}}
    look.params = {"start": "2024-06-21T00:00:00Z", "end": "2024-07-01T00:00:00Z"}

    def preliminary(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(won=rows["won"].where(rows["at"] < pd.Timestamp("2024-06-21", tz="UTC"), "no"))

    report = look.quality(preliminary)
    assert (report.rows, report.labelled_rows) == (240, 240)
    assert report.loss == pytest.approx(report.blessed_loss, abs=0.05)
    assert look.drift(preliminary).current_rows == 120


def test_rows_that_the_champion_was_made_from_prove_nothing(look: Looking) -> None:
    look.params = {"watched": "data"}
    report = look.quality(lambda rows: rows.assign(at=rows["at"] - pd.Timedelta(days=40)))
    newer = pd.Timestamp("2024-05-17", tz="UTC") - pd.Timestamp("2024-05-05", tz="UTC")
    assert report.rows == newer / pd.Timedelta(hours=1)


def test_the_whole_drift_report_is_written_and_repeats_to_the_byte(shelf: Path, tmp_path: Path) -> None:
    outputs = []
    for name in ("one", "two"):
        outputs.append(Looking(shelf, tmp_path / name))
        (tmp_path / name).mkdir()
        outputs[-1].drift(lambda rows: rows.assign(size=rows["size"] + 2))
    pages = [
        {path.name: path.read_bytes() for path in (looking.folder / "out" / "report").iterdir()} for looking in outputs
    ]
    assert pages[0].keys() == {"report.html", "evidently.html", "report.json"}
    assert pages[0] == pages[1]
    measured = DriftReport.model_validate_json(pages[0]["report.json"])
    assert measured.domain_auc is not None
    assert measured.domain_auc > 0.8
    assert len(pages[0]["evidently.html"]) < 8_000_000


def test_logged_answers_of_the_champion_alone_are_judged(look: Looking) -> None:
    def logged(rows: pd.DataFrame) -> pd.DataFrame:
        is_ours = np.arange(len(rows)) % 2 == 0
        return rows.assign(
            __version=np.where(is_ours, "3", "4"),
            __prediction=np.where(is_ours, rows["won"], "no"),
            __probability=np.where(rows["won"] == "yes", 0.9, 0.1),
            __label_at=NOW,
        )

    report = look.quality(logged)
    assert (report.rows, report.loss, report.value) == (300, 0.0, 1.0)
    assert report.newest_label == NOW
    assert look.drift(logged).current_rows == 300


def test_requests_unlike_the_source_are_skew(look: Looking, tmp_path: Path) -> None:
    source = tmp_path / "same_time.parquet"
    rows(600, "2024-06-01", seed=2).to_parquet(source)
    assert not any(column.has_moved for column in look.drift(source=source).skew)
    scaled = look.drift(lambda rows: rows.assign(size=rows["size"] * 100), source=source)
    assert [column.column for column in scaled.skew if column.has_moved] == ["size"]


HOSTILE: dict[str, tuple[Change, str]] = {
    "empty": (lambda rows: rows.iloc[:0], "the window holds 0 rows"),
    "tiny": (lambda rows: rows.iloc[:20], "the window holds 20 rows; 300 are needed"),
    "missing column": (lambda rows: rows.drop(columns="size"), "column 'size', which the champion reads, is missing"),
    "all null": (lambda rows: rows.assign(size=np.nan), "'size' lacks 100.0% of its values"),
    "half null": (lambda rows: rows.assign(size=rows["size"].where(rows.index % 2 == 0)), "'size' lacks 50.0%"),
    "infinite": (lambda rows: rows.assign(size=np.where(rows.index % 2, np.inf, -np.inf)), "'size' lacks 100.0%"),
    "another type": (lambda rows: rows.assign(size="large"), "'size' lacks 100.0% of its values"),
    "out of range": (lambda rows: rows.assign(size=rows["size"] + 100), "600 of 600 live rows are not as declared"),
    "from the future": (
        lambda rows: rows.assign(at=rows["at"] + pd.Timedelta(days=90)),
        "600 of 600 live rows are dated in the future",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_window_triggers_nothing_and_says_why(look: Looking, name: str) -> None:
    change, told = HOSTILE[name]
    decision = decide(look.drift(change), None)
    assert not decision.is_drifting
    assert not decision.reasons
    assert decision.judgement.verdict is not Verdict.PASSED
    assert any(told in result.sentence for result in decision.judgement.results)


def test_a_constant_column_has_moved_and_a_new_category_is_counted(look: Looking) -> None:
    constant = look.drift(lambda rows: rows.assign(size=0.5, group=np.where(rows.index % 3, rows["group"], "new")))
    columns = {column.column: column for column in constant.columns}
    assert columns["size"].has_moved
    assert columns["group"].has_moved
    assert columns["group"].new_level_share == pytest.approx(1 / 3)


def test_a_single_row_from_the_future_is_left_out_and_told(look: Looking) -> None:
    def skewed(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(at=rows["at"].where(rows.index > 0, NOW + timedelta(hours=1)))

    report = look.drift(skewed)
    assert report.current_rows == 599
    assert any("1 of 600 live rows are dated in the future" in finding.sentence for finding in report.invariants)
    assert decide(report, None).judgement.verdict is not Verdict.FAILED


@pytest.mark.parametrize(
    "written",
    [
        lambda at: at.dt.tz_convert("America/New_York"),
        lambda at: at.dt.tz_localize(None),
        lambda at: at.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00").where(
            at.index % 2 == 0, (at + pd.Timedelta(hours=2)).dt.strftime("%Y-%m-%dT%H:%M:%S+02:00")
        ),
    ],
    ids=["another zone", "no zone", "each its own"],
)
def test_time_zones_do_not_move_rows(look: Looking, written: Any) -> None:
    plain, zoned = look.quality(), look.quality(lambda rows: rows.assign(at=written(rows["at"])))
    assert zoned == plain


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows.assign(won=rows["won"] == "yes"), "labels of another kind"),
        (lambda rows: rows.assign(at=range(len(rows))), "which are not times"),
    ],
    ids=["labels of another type", "no times"],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(look: Looking, change: Change, told: str) -> None:
    with pytest.raises(Refused, match=told):
        look.quality(change)


def test_a_reference_that_is_gone_is_refused_in_a_sentence(look: Looking, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(Refused, match="reference window cannot be read"):
        look.drift(reference=broken)
    rows(600, "2024-01-01", seed=0).drop(columns="won").to_parquet(broken)
    with pytest.raises(Refused, match="has no column 'won'"):
        look.drift(reference=broken)
