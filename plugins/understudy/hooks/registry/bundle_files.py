"""A version's files on disk: their digest, and how a verified copy is put in place."""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from understudy.contract.stage import artefact_of

# MLflow writes this file into a folder whenever somebody loads it as models:/name/version, the registry's own included.
MLFLOW_MARK = "registered_model_meta"


def digest_of(folder: Path) -> str | None:
    """Digest a model's folder; None where there is none."""
    return artefact_of(folder, folder.parent).sha256 if folder.is_dir() else None


def remove_byte_code(folder: Path) -> None:
    """Remove Python's caches, which no digest covers and Python would run instead of the code beside them."""
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)


def put(verified: Path, destination: Path) -> None:
    """Move a verified folder to its destination in one step, in place of what is there.

    The same files that another process put there in between stay: a stage may be reading them.
    """
    digest = digest_of(verified)
    if digest_of(destination) == digest:
        return
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


@contextmanager
def packed(folder: Path) -> Iterator[IO[bytes]]:
    """Give a folder's files as one tar, by name; what its digest leaves out stays out."""
    with tempfile.TemporaryFile() as packing:
        with tarfile.open(fileobj=packing, mode="w") as tar:
            for file in sorted(
                path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
            ):
                tar.add(file, arcname=file.relative_to(folder).as_posix(), recursive=False)
        packing.seek(0)
        yield packing
