"""What a look decides and does, with a real ledger: recorded first, asked for once, never lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tests.unit.operators.live_traffic import Registry as Nodding
from tests.unit.operators.live_traffic import bundle, declare, entries, serve
from understudy.contract.monitoring import Calibration, ColumnDrift, DriftReport, QualityReport
from understudy.contract.retrainings import Look
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, DistanceMethod, EntryKind, Trigger, Verdict, Watched
from understudy.hooks.connect import connect
from understudy.hooks.looks import retrainings
from understudy.hooks.registry_errors import RegistryUnavailable
from understudy.operators import DecideRetrainingOperator
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import LooksInconclusive
from understudy.operators.handover import Collected, Looked, Measured
from understudy.settings import settings

MONITOR = {"schedule": "0 * * * *", "of": "data", "looks": 1, "window": "1d"}
TRACED: list[dict[str, float]] = []
KEPT: list[str] = []


class Registry(Nodding):
    """Remember what MLflow would draw."""

    def tags(self, bundle: Any) -> dict[str, str]:
        return {"train_end": "2026-01-01 00:00:00"}

    def trace(self, bundle: Any, metrics: dict[str, float], at: datetime, step: int) -> None:
        TRACED.append(metrics)

    def attach(self, bundle: Any, files: dict[str, Path]) -> None:
        KEPT.extend(files)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("understudy.hooks.registry.Registry", lambda *_, **__: Registry())
    settings.cache_clear()
    settings().workspace_dir.mkdir()
    TRACED.clear()
    KEPT.clear()
    declare(serving=None, monitor=MONITOR)
    yield tmp_path
    settings.cache_clear()


class Run:
    """One look: what its tasks found, and what its last one does."""

    def __init__(self, name: str, *, as_of: datetime | None = None, told: dict[Any, str] | None = None) -> None:
        self.name, self.as_of, self.told = name, as_of, told or {}
        self.asked: list[dict[str, Any]] = []
        self.pushed: dict[str, Any] = {}

    def context(self) -> Any:
        now = datetime.now(timezone.utc)
        return {
            "ti": SimpleNamespace(
                xcom_push=lambda key, value: self.pushed.update({key: value}),
                xcom_pull=lambda task_ids, key: self.told.get((task_ids, key)),
                start_date=now,
            ),
            "run_id": self.name,
            "dag_run": SimpleNamespace(run_type="scheduled", triggering_user_name=None, run_after=now),
            "params": {"as_of": self.as_of.isoformat() if self.as_of else None},
            "dag": SimpleNamespace(dag_id="monitor__price"),
            "outlet_events": _Outlets(self.asked),
        }

    def decide(self, drift: Any = None, quality: Any = None, **collected: Any) -> Looked:
        found = None if drift is None and quality is None else seen(**collected)
        operator = DecideRetrainingOperator(
            task_id="decide", model="price", collected=found, drift=measured(drift), quality=measured(quality)
        )
        operator.upstream_task_ids = {"window", "drift", "quality"}
        return Looked.model_validate(operator.execute(self.context()))


class _Outlets:
    def __init__(self, asked: list[dict[str, Any]]) -> None:
        self._asked = asked

    def __getitem__(self, alias: Any) -> Any:
        return SimpleNamespace(add=lambda asset, extra: self._asked.append({"uri": asset.uri, **extra}))


def seen(version: int = 1, since: int = 1) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    path = Path(mkdtemp(dir=settings().workspace_dir)) / "data.parquet"
    path.write_bytes(b"rows")
    return Collected(
        data=artefact_of(path, settings().workspace_dir), watched=Watched.DATA, rows=500,
        window_start=now, window_end=now, champion=bundle(version), champion_since=since, trained_until=None,
        new_labels=40,
    ).model_dump(mode="json")  # fmt: skip


def measured(report: Any) -> dict[str, Any] | None:
    if report is None:
        return None
    path = Path(mkdtemp(dir=settings().workspace_dir)) / "measured.json"
    path.write_text(report.model_dump_json(), encoding="utf-8")
    return Measured(report=artefact_of(path, settings().workspace_dir)).model_dump(mode="json")


def drift(distance: float = 0.01, rows: int = 500) -> DriftReport:
    column = ColumnDrift(
        column="wind", method=DistanceMethod.WASSERSTEIN, distance=distance, threshold=0.1, importance=1.0,
        null_share=0.0, reference_null_share=0.0, null_threshold=0.1,
    )  # fmt: skip
    return DriftReport(
        reference_data="d", reference_rows=9000, current_rows=rows, sampled_reference_rows=9000,
        sampled_current_rows=rows, columns=(column,), prediction=column, domain_auc=0.5, domain_auc_usual=0.5,
        calibration=Calibration(length="1d", shares=(0.0,) * 20),
    )  # fmt: skip


def quality(loss: float = 0.2) -> QualityReport:
    return QualityReport(
        metric="roc_auc", rows=500, labelled_rows=500, blocks=30, value=0.8, value_error=0.01, blessed=0.8,
        blessed_error=0.01, blessed_blocks=30, loss=loss, loss_error=0.01, blessed_loss=0.2, blessed_loss_error=0.01,
    )  # fmt: skip


MOVED = 0.9


def looks() -> list[Look]:
    return [Look.model_validate(entry.facts) for entry in entries(EntryKind.MONITORED)]


def test_a_quiet_look_is_recorded_and_asks_for_nothing() -> None:
    serve(1)
    run = Run("look1")
    looked = run.decide(drift(), quality())
    assert (looked.is_due, looked.verdict, run.asked) == (False, Verdict.PASSED, [])
    (entry,) = entries(EntryKind.MONITORED)
    assert (entry.reason, entry.actor) == (looked.sentence, "scheduled")
    assert looked.sentence.startswith("looked, nothing to do")
    assert TRACED[0]["monitor.loss"] == 0.2
    assert KEPT == ["looks/latest/look.json"]


def test_drift_asks_for_a_retraining_and_says_where_the_evidence_is() -> None:
    serve(1)
    run = Run("look1")
    looked = run.decide(drift(MOVED), quality())
    (entry,) = entries(EntryKind.MONITORED)
    (asked,) = run.asked
    assert looked.is_due
    assert asked["uri"] == "understudy://price/retrain"
    assert (asked["ledger_seq"], asked["ledger_hash"], asked["run_id"]) == (entry.seq, entry.hash, "look1")
    assert (asked["reasons"], asked["as_of"]) == (["drift"], None)
    assert "wind by 0.9" in asked["sentence"]
    assert f"looks/{entry.seq}/look.json" in KEPT


def test_a_retry_decides_nothing_anew_and_asks_again() -> None:
    serve(1)
    killed, retried = Run("look1"), Run("look1")
    killed.decide(drift(MOVED))  # its event dies with it: Airflow emits when a task succeeds
    retried.decide(drift(0.01))
    assert len(entries(EntryKind.MONITORED)) == 1
    assert retried.asked == killed.asked


def test_a_task_that_is_cleared_after_its_request_was_answered_asks_no_more() -> None:
    serve(1)
    Run("look1").decide(drift(MOVED))
    answer()
    cleared = Run("look1")
    assert cleared.decide(drift(MOVED)).is_due
    assert cleared.asked == []


def test_of_many_looks_at_once_one_asks() -> None:
    serve(1)
    runs = [Run(f"look{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda run: run.decide(drift(MOVED)), runs))
    assert len(entries(EntryKind.MONITORED)) == 8
    assert sum(len(run.asked) for run in runs) == 1
    held_back = [look.decision.held_back for look in looks() if not look.is_due]
    assert len([why for why in held_back if why and "cool-down" in why]) == 7


def test_what_could_not_be_measured_is_inconclusive_and_named() -> None:
    serve(1)
    run = Run("look1", told={("window", REFUSAL_KEY): "prices.csv holds no rows in the window"})
    looked = run.decide()
    assert (looked.verdict, run.asked) == (Verdict.INCONCLUSIVE, [])
    assert "window: prices.csv holds no rows in the window" in looked.sentence


def test_looks_that_see_nothing_again_and_again_are_red() -> None:
    serve(1)
    told = {("drift", REFUSAL_KEY): "the reference is gone"}
    for number in range(2):
        Run(f"look{number}", told=told).decide()
    with pytest.raises(LooksInconclusive, match=r"3 looks in a row .* the reference is gone"):
        Run("look2", told=told).decide()
    assert len(entries(EntryKind.MONITORED)) == 3, "recorded before it is red"
    Run("look3").decide(drift(), quality())


@pytest.mark.parametrize("rows", [0, 299])
def test_a_tiny_window_decides_nothing(rows: int) -> None:
    serve(1)
    run = Run("look1")
    looked = run.decide(drift(MOVED, rows=rows))
    assert (looked.verdict, run.asked) == (Verdict.INCONCLUSIVE, [])


def test_no_champion_is_no_look() -> None:
    with pytest.raises(AirflowSkipException, match="no champion yet"):
        Run("look1").decide(drift(MOVED))
    assert entries(EntryKind.MONITORED) == []


def test_a_promotion_in_the_middle_of_a_look_leaves_the_new_champion_alone() -> None:
    serve(1)
    serve(2)
    run = Run("look1")
    looked = run.decide(drift(MOVED), quality(loss=0.9), version=1, since=1)
    assert (looked.verdict, run.asked) == (Verdict.INCONCLUSIVE, [])
    assert "version 2 became champion while version 1 was looked at" in looked.sentence


def test_a_look_into_the_past_hands_its_time_on() -> None:
    serve(1)
    past = datetime(2026, 1, 20, tzinfo=timezone.utc)
    run = Run("look1", as_of=past)
    run.decide(drift(MOVED))
    assert run.asked[0]["as_of"] == "2026-01-20T00:00:00Z"


def test_the_ledger_does_not_need_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(1)

    def down(*_: Any) -> None:
        raise RegistryUnavailable("mlflow", "refused the connection")

    monkeypatch.setattr(Registry, "trace", down)
    run = Run("look1")
    assert run.decide(drift(MOVED)).is_due
    assert len(run.asked) == 1


# A retraining that was asked for and does not come.


def answer() -> None:
    facts = {
        "cause": {"reasons": ["drift"], "sentence": "s"},
        "may_promote": True,
        "as_of": datetime.now(timezone.utc).isoformat(),
    }
    connect().ledger.append("price", EntryKind.TRIGGERED, "asset_triggered", "drift", "run1", facts)


def test_a_paused_retraining_is_told_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__RETRAIN_WITHIN", "0s")
    settings.cache_clear()
    serve(1)
    Run("look1").decide(drift(MOVED))
    again = Run("look2")
    again.decide(drift(MOVED))
    assert len(again.asked) == 1
    assert "is the DAG retrain__price paused or broken?" in entries(EntryKind.MONITORED)[-1].reason
    answer()
    third = Run("look3")
    third.decide(drift(MOVED))
    assert looks()[-1].trouble == ()
    assert third.asked == [], "the cool-down counts again"


# Quality that is lost within the probation.


def test_quality_that_is_lost_in_the_probation_takes_the_champion_back_and_asks() -> None:
    declare(monitor=MONITOR, guard={"probation": "7d"})
    serve(1)
    serve(2)
    run = Run("look1")
    looked = run.decide(drift(), quality(loss=0.9), version=2, since=2)
    current = connect().deployments.current("price")
    assert current is not None
    assert (current.change, current.champion.version, looked.rolled_back_to) == (Change.ROLLBACK, 1, 1)
    monitored, rolled_back = entries(EntryKind.MONITORED)[0], entries(EntryKind.DEPLOYED)[-1]
    assert monitored.seq < rolled_back.seq, "the evidence first"
    assert (rolled_back.actor, rolled_back.run) == ("monitor", monitored.run)
    assert f"ledger entry {monitored.seq}" in rolled_back.reason
    assert connect().deployments.denied("price").keys() == {bundle(2).model_sha256}
    assert run.asked[0]["reasons"] == ["quality"]


def test_a_retry_takes_back_once_and_still_asks() -> None:
    declare(monitor=MONITOR, guard={"probation": "7d"})
    serve(1)
    serve(2)
    Run("look1").decide(drift(), quality(loss=0.9), version=2, since=2)
    retried = Run("look1")
    retried.decide(drift(), quality(loss=0.9), version=2, since=2)
    assert [entry.facts["epoch"] for entry in entries(EntryKind.DEPLOYED)] == [1, 2, 3]
    assert len(retried.asked) == 1


@pytest.mark.parametrize(
    ("guard", "before"), [(None, 1), ({"probation": "1s"}, 1), ({"probation": "7d"}, 0)],
    ids=["no probation declared", "probation over", "nothing to go back to"],
)  # fmt: skip
def test_outside_of_a_probation_lost_quality_only_asks(
    guard: Any, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monitor=MONITOR, guard=guard, serving={} if guard else None)
    for version in range(1, before + 2):
        serve(version)
    run = Run("look1", as_of=datetime.now(timezone.utc) + timedelta(minutes=5))
    looked = run.decide(drift(), quality(loss=0.9), version=before + 1, since=before + 1)
    assert looked.rolled_back_to is None
    assert run.asked[0]["reasons"] == ["quality"]
    assert len(entries(EntryKind.DEPLOYED)) == before + 1


def test_another_champion_than_the_one_looked_at_is_never_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monitor=MONITOR, guard={"probation": "7d"})
    serve(1)
    serve(2)
    record = "understudy.operators.decide.take_back"
    from understudy.operators.take_back import take_back

    def overtaken(*given: Any) -> Any:
        serve(3)
        return take_back(*given)

    monkeypatch.setattr(record, overtaken)
    looked = Run("look1").decide(drift(), quality(loss=0.9), version=2, since=2)
    current = connect().deployments.current("price")
    assert current is not None
    assert (current.champion.version, looked.rolled_back_to) == (3, None)


def test_what_was_asked_is_read_back_from_the_ledger() -> None:
    serve(1)
    Run("look1").decide(drift(MOVED))
    waiting = retrainings(connect().ledger, "price").unanswered()
    assert waiting is not None
    assert waiting.look.decision.reasons == (Trigger.DRIFT,)
