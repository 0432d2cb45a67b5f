"""A version that is registered in MLflow, what MLflow knows of it, and the record in which it serves."""

from pathlib import Path
from typing import Any

from understudy.contract.release import Bundle, Deployment
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change
from understudy.hooks.registry.registration import Provenance, Registration
from understudy.hooks.registry.registry import Registry


def register(registry: Registry, model: str, model_dir: Path, run: str = "run1", **changed: Any) -> Bundle:
    said: dict[str, Any] = {
        "model_sha256": artefact_of(model_dir, model_dir.parent).sha256,
        "params": {"max_iter": 100, "l2": None},
        "metrics": {"roc_auc": 0.8, "never": float("nan")},
        "own_tags": {"owner": "ann", "parent_version": "", "train_end": "t"},
    }
    made_by = {
        "data_version": "d1", "spec_sha256": "s", "code_commit": "c0ffee", "image_digest": "sha256:i",
        "decision_threshold": 0.1 + 0.2,
        **{name: changed.pop(name) for name in set(changed) & set(Provenance.model_fields)},
    }  # fmt: skip
    provenance = Provenance.model_validate(made_by)
    return registry.register(
        Registration(model=model, run=run, model_dir=model_dir, provenance=provenance, **{**said, **changed})
    )


def client_of(registry: Registry) -> Any:
    with registry._mlflow.asking() as client:
        return client


def artefact_dir(registry: Registry, bundle: Bundle) -> Path:
    source = client_of(registry).get_model_version(bundle.model, str(bundle.version)).source
    return Path(source.removeprefix("file://"))


def version_of(registry: Registry, bundle: Bundle) -> Any:
    return client_of(registry).get_model_version(bundle.model, str(bundle.version))


def deployment(champion: Bundle, previous: Bundle | None = None, epoch: int = 1) -> Deployment:
    return Deployment(model=champion.model, epoch=epoch, change=Change.PROMOTION, champion=champion, previous=previous)
