"""Records of the model "demand"."""

from typing import Any

from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Change

WHY = By(actor="ann", reason="because")


def by(more: dict[str, Any], reason: str) -> By:
    """Take out of keyword arguments what they say of who decides; Ann where they do not."""
    told = {name: more.pop(name) for name in set(more) & set(By.model_fields)}
    return By.model_validate({"actor": "ann", "reason": reason, **told})


def bundle(version: int, digest: str | None = None) -> Bundle:
    return Bundle(
        model="demand",
        version=version,
        model_sha256=digest or f"digest{version}",
        image_digest="i",
        code_commit="c",
        spec_sha256="s",
        data_version=f"data{version}",
        run=f"run{version}",
        reference_data="d",
    )


def record(epoch: int, version: int, digest: str | None = None, change: Change = Change.PROMOTION) -> Deployment:
    return Deployment(model="demand", epoch=epoch, change=change, champion=bundle(version, digest), previous=None)
