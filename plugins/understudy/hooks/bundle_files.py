"""A version's files on disk: their digest, and how a verified copy is put in place."""

import os
import shutil
import tempfile
from pathlib import Path

from understudy.contract.stage import artefact_of

# MLflow writes this file into a folder whenever somebody loads it as models:/name/version, the registry's own included.
MLFLOW_MARK = "registered_model_meta"


def digest_of(folder: Path) -> str | None:
    """Digest a model's folder; None where there is none."""
    return artefact_of(folder, folder.parent).sha256 if folder.is_dir() else None


def put(verified: Path, destination: Path) -> None:
    """Move a verified folder to its destination in one step, in place of what is there."""
    digest = digest_of(verified)
    if destination.exists():
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".spoiled-") as spoiled:
            os.replace(destination, Path(spoiled) / "copy")
    try:
        os.replace(verified, destination)
    except OSError:
        # Another process put its copy there in between; if it is the right one, nothing is lost.
        if digest_of(destination) != digest:
            raise


def forget_versions(folder: Path, keep: set[int], below: int) -> None:
    """Remove the copies of versions below a number, but for those to keep."""
    for copy in folder.iterdir():
        if copy.name.isdigit() and int(copy.name) < below and int(copy.name) not in keep:
            shutil.rmtree(copy, ignore_errors=True)
