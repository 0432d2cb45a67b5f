"""What is compacted: a manifest says in one step that its Parquet files count and its segments no longer do."""

import os
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.gateway.confirm import confirm
from understudy.gateway.log.segment import sync_folders


class ManifestBroken(UnderstudyError):
    """A file that says what was compacted cannot be read."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is damaged, so that nobody can say which predictions are in Parquet. Restore it from a backup, or "
            "delete it together with the Parquet files of its name if their segments are still there."
        )


class CompactedFile(Fact):
    """Describe a Parquet file of one day and one version."""

    path: str
    """Relative to the log's folder."""
    rows: int
    since: datetime
    until: datetime


class Manifest(Fact):
    """Record one compaction."""

    segments: tuple[str, ...]
    """Relative to the log's folder."""
    files: tuple[CompactedFile, ...]
    damaged: int
    """Lines that could not be read, and are gone with their segment."""
    lost: int
    """Rows that the segments say were never written."""


def commit(folder: Path, name: str, manifest: Manifest) -> None:
    """Write a manifest; from its rename on it counts."""
    shelf = folder / "manifests"
    shelf.mkdir(parents=True, exist_ok=True)
    hidden = shelf / f".{name}.tmp"
    with hidden.open("wb") as file:
        file.write(manifest.model_dump_json().encode())
        file.flush()
        confirm(file.fileno())
    os.rename(hidden, shelf / f"{name}.json")
    sync_folders(shelf)


def manifests_in(folder: Path) -> dict[Path, Manifest]:
    """Read all manifests; one that retention removed in between is left out."""
    found = {}
    for path in sorted((folder / "manifests").glob("*.json")):
        try:
            found[path] = Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValidationError as broken:
            raise ManifestBroken(path) from broken
    return found


def forget_empty(folder: Path) -> None:
    """Remove manifests of which nothing is left."""
    for path, manifest in manifests_in(folder).items():
        named = [*manifest.segments, *(file.path for file in manifest.files)]
        if not any((folder / name).exists() for name in named):
            path.unlink(missing_ok=True)
