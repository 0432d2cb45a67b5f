"""Take a backup while everything goes on."""

import os
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from understudy import __version__
from understudy.backup import database, folders, ledger_file, manifest
from understudy.backup.errors import BackupIncomplete, NotEmpty
from understudy.backup.manifest import Manifest
from understudy.backup.places import Places
from understudy.backup.proof import Proof, prove, serving
from understudy.contract.declared import Fact
from understudy.contract.release import GENESIS
from understudy.hooks.connect import Hooks
from understudy.hooks.data.git_registry import GitRegistry
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import LedgerDamaged

REGISTRY, ARTIFACTS, DATA_REGISTRY, DATA_STORE, BUNDLES = (
    "registry", "artifacts", "data-versions.bundle", "data-store", "bundles",
)  # fmt: skip


class Taken(Fact):
    """Say what a backup holds."""

    folder: str
    files: int
    size_bytes: int
    entries: int
    elsewhere: tuple[str, ...]
    proof: Proof


def take(hooks: Hooks, folder: Path) -> Taken:
    """Copy everything to a new folder, in the order that the package argues for.

    :raises NotEmpty: where the folder holds something.
    :raises LedgerDamaged: where the ledger's chain is broken: a backup of it would be worth nothing.
    :raises BackupIncomplete: where a version that serves, or its data, cannot be verified; nothing is left behind then.
    """
    if folder.exists() and any(folder.iterdir()):
        raise NotEmpty(str(folder), "Name a new folder for each backup.")
    places = Places(hooks.settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch, "backup")
        draft.mkdir(mode=0o700)
        ledger_file.write(hooks.ledger, draft)
        copied = ledger_file.as_database(draft, Path(scratch))
        checked = copied.verify()
        if checked.first_broken_seq is not None:
            raise LedgerDamaged(checked.first_broken_seq, "does not fit the entries before it")
        bundles = serving(Deployments(copied))
        _copy_parts(places, draft)
        proof = prove(bundles, hooks.registry, hooks.data_versions, Path(scratch))
        if proof.missing:
            raise BackupIncomplete(list(proof.missing))
        newest = copied.entries(limit=1, newest_first=True)
        written = Manifest(
            understudy=__version__,
            taken_at=datetime.now(timezone.utc),
            entries=checked.checked,
            last_hash=newest[0].hash if newest else GENESIS,
            serving=bundles,
            artifacts=places.artifacts,
            elsewhere=places.elsewhere,
            files=manifest.digests(draft),
        )
        manifest.write(draft, written)
        size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
        os.replace(draft, folder)
    return Taken(
        folder=str(folder),
        files=len(written.files),
        size_bytes=size,
        entries=written.entries,
        elsewhere=written.elsewhere,
        proof=proof,
    )


def _copy_parts(places: Places, draft: Path) -> None:
    if not database.is_absent(places.registry):
        database.dump(places.registry, draft / REGISTRY)
    if places.artifact_files is not None:
        folders.copy(places.artifact_files, draft / ARTIFACTS)
    registry = GitRegistry(places.data_registry)
    with registry.clone() as tree:
        # Git makes no bundle of a history without commits.
        if registry.git("for-each-ref", at=tree):
            registry.git("bundle", "create", "--quiet", str(draft / DATA_REGISTRY), "--all", at=tree)
    if places.data_store is not None:
        folders.copy(places.data_store, draft / DATA_STORE)
    folders.copy(places.bundles, draft / BUNDLES)
