"""One look at price: what its tasks found, what its last one does, and what MLflow would draw of it."""

from datetime import datetime, timezone
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

from tests.unit.operators.live_traffic import Registry as Nodding
from tests.unit.operators.live_traffic import bundle
from understudy.contract.monitoring import Calibration, ColumnDrift, DriftReport, QualityReport
from understudy.contract.stage import artefact_of
from understudy.contract.words import DistanceMethod, Watched
from understudy.operators import DecideRetrainingOperator
from understudy.operators.handover import Collected, Looked, Measured
from understudy.settings import settings

MONITOR = {"schedule": "0 * * * *", "of": "data", "looks": 1, "window": "1d"}
TRACED: list[dict[str, float]] = []
KEPT: dict[str, Path] = {}


MOVED = 0.9


class Registry(Nodding):
    """Remember what MLflow would draw."""

    def tags(self, bundle: Any) -> dict[str, str]:
        return {"train_end": "2026-01-01 00:00:00"}

    def trace(self, bundle: Any, metrics: dict[str, float], at: datetime, step: int) -> None:
        TRACED.append(metrics)

    def attach(self, bundle: Any, files: dict[str, Path]) -> None:
        KEPT.update(files)


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
    workspace = settings().workspace_dir
    path = Path(mkdtemp(dir=workspace)) / "measured.json"
    path.write_text(report.model_dump_json(), encoding="utf-8")
    page = path.parent / "page"
    page.mkdir()
    (page / "report.html").write_text(f"<p>{path.read_text(encoding='utf-8')}</p>", encoding="utf-8")
    shown = {"report": artefact_of(page, workspace)}
    return Measured(report=artefact_of(path, workspace), shown=shown).model_dump(mode="json")


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
