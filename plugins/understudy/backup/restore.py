"""Bring a backup back to where nothing is, and prove that it works."""

from pathlib import Path
from time import monotonic, sleep

from understudy.backup import database, folders, ledger_file, manifest
from understudy.backup.errors import BackupDamaged, BackupIncomplete, NotEmpty, OtherPlace, StackRuns
from understudy.backup.manifest import Manifest
from understudy.backup.places import Places
from understudy.backup.proof import prove, serving
from understudy.backup.take import ARTIFACTS, BUNDLES, DATA_REGISTRY, DATA_STORE, REGISTRY
from understudy.contract.declared import Fact
from understudy.contract.release import GENESIS
from understudy.hooks.connect import Hooks
from understudy.hooks.data.git_registry import GitRegistry, is_local
from understudy.hooks.registry.errors import RegistryUnavailable

ANSWERS_WITHIN_S = 300.0
LOOK_S = 1.0


class Restored(Fact):
    """Say what was brought back, and everything that was verified."""

    folder: str
    taken_at: str
    verified: tuple[str, ...]
    elsewhere: tuple[str, ...]


def restore(hooks: Hooks, folder: Path) -> Restored:
    """Bring everything back, the ledger last, and verify it.

    :raises NoBackup, BackupDamaged: before anything is changed.
    :raises RegistryUnavailable: where MLflow's server does not answer within minutes; before that, too.
    :raises NotEmpty, StackRuns, OtherPlace: where this deployment is in use, or cannot take it; before that, too.
    :raises BackupIncomplete: where something does not verify afterwards.
    """
    known = manifest.read_verified(folder)
    places = Places(hooks.settings)
    _require_room(hooks, places, known)
    _wait_for_registry(hooks)

    if (folder / BUNDLES).is_dir():
        folders.put(folder / BUNDLES, places.bundles)
    if places.data_store is not None and (folder / DATA_STORE).is_dir():
        folders.put(folder / DATA_STORE, places.data_store)
    if (folder / DATA_REGISTRY).is_file():
        _put_git(folder / DATA_REGISTRY, places.data_registry)
    if places.artifact_files is not None and (folder / ARTIFACTS).is_dir():
        folders.put(folder / ARTIFACTS, places.artifact_files)
    if (folder / REGISTRY).is_file():
        database.load(places.registry, folder / REGISTRY)
    hooks.ledger.adopt(ledger_file.read(folder))
    return Restored(
        folder=str(folder),
        taken_at=known.taken_at.isoformat(),
        verified=(f"{len(known.files)} files have the digests of the manifest", *_verify(hooks, places, known, folder)),
        elsewhere=known.elsewhere,
    )


def _require_room(hooks: Hooks, places: Places, known: Manifest) -> None:
    from understudy.embedded.layout import Layout
    from understudy.embedded.stack import running

    if running(Layout(home=places.home)) is not None:
        raise StackRuns(str(places.home))
    if places.artifacts != known.artifacts:
        raise OtherPlace(known.artifacts, places.artifacts)
    if hooks.ledger.entries(limit=1):
        raise NotEmpty(f"The ledger {hooks.ledger.name}", "Restore into a new one: what was decided is never replaced.")
    database.require_empty(places.registry)
    if is_local(places.data_registry):
        folders.require_empty(Path(places.data_registry.removeprefix("file://")))
    for place in (places.bundles, places.data_store, places.artifact_files):
        if place is not None:
            folders.require_empty(place)


def _wait_for_registry(hooks: Hooks) -> None:
    # Its container is often started by the line before this command; without it nothing could be verified afterwards.
    end = monotonic() + ANSWERS_WITHIN_S
    while hooks.settings.registry.startswith(("http:", "https:")):
        try:
            hooks.registry.aliases("understudy-restore")
        except RegistryUnavailable:
            if monotonic() > end:
                raise
            sleep(LOOK_S)
        else:
            return


def _put_git(bundle: Path, registry: str) -> None:
    git = GitRegistry(registry)
    if is_local(registry):
        git.git("clone", "--quiet", "--mirror", str(bundle), registry.removeprefix("file://"))
        return
    with git.clone() as tree:
        git.git("fetch", "--quiet", str(bundle), "refs/heads/*:refs/heads/restored/*", at=tree)
        git.git("push", "--quiet", "origin", "refs/heads/restored/*:refs/heads/*", at=tree)


def _verify(hooks: Hooks, places: Places, known: Manifest, folder: Path) -> tuple[str, ...]:
    checked = hooks.ledger.verify()
    newest = hooks.ledger.entries(limit=1, newest_first=True)
    last_hash = newest[0].hash if newest else GENESIS
    if not checked.ok or (checked.checked, last_hash) != (known.entries, known.last_hash):
        raise BackupDamaged(folder, [f"the ledger is not the one that was taken ({checked.sentence})"])
    bundles = serving(hooks.deployments)
    if bundles != known.serving:
        raise BackupDamaged(folder, ["the ledger names other versions than the manifest"])
    proof = prove(bundles, hooks.registry, hooks.data_versions, places.home)
    if proof.missing:
        raise BackupIncomplete(list(proof.missing))
    chain = f"the ledger's {checked.checked} entries are intact and end with hash {last_hash[:12]}"
    return chain, *proof.verified
