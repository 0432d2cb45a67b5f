"""A deployment with one declared model, price: the ledger is real, the registry stood in for."""

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment, LedgerEntry
from understudy.contract.reports import Comparison, EvaluationReport
from understudy.contract.stage import Artefact, StageResult
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.operators import (
    EvaluateVsChampionOperator,
)
from understudy.operators.handover import Evaluated, Trained
from understudy.operators.run_context import run_folder
from understudy.settings import settings

DUE = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
DIGEST = "d" * 64


class Registry:
    """Stand in for MLflow, which takes whatever it is given."""

    def attach(self, bundle: Bundle, files: dict[str, Path]) -> None: ...

    def keep(self, bundle: Bundle) -> None: ...

    def follow(self, deployment: Deployment) -> dict[str, int]:
        return {}

    def forget_all_but(self, kept: Deployment) -> None: ...


def declare(**sections: Any) -> None:
    spec = {
        "model": "price", "owner": "market-ml", "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "evaluate": {"must_beat": []}, "gates": [{"metric": "roc_auc", "floor": 0.7}], **sections,
    }  # fmt: skip
    path = settings().models_dir / "price" / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")


def context(pushed: dict[str, Any] | None = None, run_id: str = "manual__1", **params: Any) -> Any:
    told = {} if pushed is None else pushed
    ti = SimpleNamespace(xcom_push=lambda key, value: told.update({key: value}))
    run = SimpleNamespace(run_type="manual", triggering_user_name="ann", run_after=DUE)
    return {
        "ti": ti,
        "run_id": run_id,
        "dag_run": run,
        "params": params,
        "dag": SimpleNamespace(dag_id="retrain__price"),
    }


def entries(kind: EntryKind) -> list[LedgerEntry]:
    return connect().ledger.entries("price", [kind])


def bundle(version: int = 7) -> Bundle:
    return Bundle(
        model="price", version=version, model_sha256=f"{version:064}", image_digest="i", code_commit="c",
        spec_sha256="s", data_version=DIGEST, run="r", reference_data=DIGEST,
    )  # fmt: skip


def artefact(path: str) -> Artefact:
    return Artefact(path=path, sha256=DIGEST, size_bytes=1)


def serve(version: int, epoch: int) -> Deployment:
    record = Deployment(model="price", epoch=epoch, change=Change.PROMOTION, champion=bundle(version), previous=None)
    connect().deployments.deploy(record, epoch - 1, By(actor="ann", reason="test"))
    return record


def judged(
    auc: float | None, *, champion: Deployment | None = None, dry_run: bool = False, latency: float = 1.0
) -> Evaluated:
    run = context(dry_run=dry_run)
    folder = run_folder(run, "price")
    (folder.outputs("champion")).mkdir(parents=True, exist_ok=True)
    (folder.outputs("champion") / "champion.json").write_text(
        champion.model_dump_json() if champion else "null", encoding="utf-8"
    )
    part = artefact("price/x")
    trained = Trained(bundle=bundle(), model=part, references=part, holdout=part, train_end=None)
    comparison = Comparison(
        metric="roc_auc",
        challenger=auc,
        rows=500,
        blocks=20,
        **({"other": 0.8, "gain": 0.0, "gain_low": 0.0, "gain_high": 0.0} if champion else {}),
    )
    report = EvaluationReport(
        task="binary_classification", primary="roc_auc", challenger_version="7", rows=500, blocks=20, leaked_rows=0,
        champion_version=champion.champion.version if champion else None, holdout_start=None, holdout_end=None,
        comparisons=(comparison,), is_linear=False,
    )  # fmt: skip
    result = StageResult(
        stage="evaluate",
        report=report.model_dump(mode="json"),
        outputs={"report": artefact("report")},
        timings={"latency_p95_ms": latency},
    )
    operator = EvaluateVsChampionOperator(task_id="evaluate", model="price", trained=trained.model_dump(mode="json"))
    return Evaluated.model_validate(operator.conclude(run, result, folder))
