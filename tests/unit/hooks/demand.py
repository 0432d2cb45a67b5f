"""Records of the model "demand"."""

from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Change

WHY = ("ann", "because")


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
