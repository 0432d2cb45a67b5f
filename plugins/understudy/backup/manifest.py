"""What a backup holds: every file with its digest, and what the ledger said when it was taken."""

import os
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from understudy.backup.errors import BackupDamaged, NoBackup
from understudy.contract.declared import Fact
from understudy.contract.release import Bundle
from understudy.contract.stage import digest_file

SCHEMA = 1
NAME = "manifest.json"
SHOWN_AS_LINK = "link"


class Manifest(Fact):
    """Describe a backup."""

    schema_version: int = SCHEMA
    understudy: str
    taken_at: datetime
    entries: int
    """How many entries the ledger had."""
    last_hash: str
    """The hash of the newest one, which stands for all of them."""
    serving: tuple[Bundle, ...]
    """The champion of each model, and what a rollback would go back to."""
    artifacts: str
    """By which address MLflow's database names the artefacts."""
    elsewhere: tuple[str, ...] = ()
    """What is kept in a place of its own and is no part of the backup."""
    files: dict[str, str]
    """The SHA-256 of each file, by its path in the backup."""


def digests(folder: Path) -> dict[str, str]:
    """Digest every file of a backup but the manifest itself."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path != folder / NAME:
                found[path.relative_to(folder).as_posix()] = SHOWN_AS_LINK if path.is_symlink() else digest_file(path)
    return dict(sorted(found.items()))


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest: the last file, without which a folder is no backup."""
    (folder / NAME).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")


def read(folder: Path) -> Manifest:
    """Read the manifest alone.

    :raises NoBackup: where there is none, or one of a later version.
    """
    try:
        manifest = Manifest.model_validate_json((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as absent:
        raise NoBackup(folder, f"{NAME} is not there, so it was never finished") from absent
    except (ValidationError, UnicodeDecodeError) as unreadable:
        raise NoBackup(folder, f"{NAME} cannot be read by this version") from unreadable
    if manifest.schema_version != SCHEMA:
        raise NoBackup(folder, f"its layout is {manifest.schema_version}, and this version reads {SCHEMA}")
    return manifest


def read_verified(folder: Path) -> Manifest:
    """Read the manifest and hold every file against it.

    :raises NoBackup: where there is none, or one of a later version.
    :raises BackupDamaged: where a file is missing, was changed or was added.
    """
    manifest = read(folder)
    found = digests(folder)
    problems = [f"{path} is missing" for path in sorted(manifest.files.keys() - found.keys())]
    problems += [f"{path} was added" for path in sorted(found.keys() - manifest.files.keys())]
    problems += [
        f"{path} was changed" for path, digest in manifest.files.items() if path in found and found[path] != digest
    ]
    if problems:
        raise BackupDamaged(folder, problems)
    return manifest
