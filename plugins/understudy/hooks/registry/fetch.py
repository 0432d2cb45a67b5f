"""Bring what MLflow keeps of a version to disk: its model, verified, or a file that was logged with it."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from understudy.contract.release import Bundle
from understudy.hooks.registry.bundle_files import MLFLOW_MARK, digest_of, put, remove_byte_code
from understudy.hooks.registry.client import RegistryClient
from understudy.hooks.registry.errors import ArtefactMissing, ArtefactTampered, UnknownVersion


def fetch_model(registry: RegistryClient, bundle: Bundle, version: Any, destination: Path) -> None:
    """Bring the model of a version, as MLflow describes it, to ``destination``.

    :raises ArtefactMissing, ArtefactTampered, UnknownVersion: and ``destination`` is left as it was.
    """
    with registry.asking() as client:
        root = client.get_run(str(version.run_id)).info.artifact_uri
    path = str(version.source).removeprefix(f"{root}/")
    if path == version.source:
        raise UnknownVersion(bundle.model, bundle.version, "points to files outside of its own run")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".fetch-") as scratch:
        folder = _download(registry, bundle, str(version.run_id), path, Path(scratch))
        (folder / MLFLOW_MARK).unlink(missing_ok=True)
        remove_byte_code(folder)
        found = digest_of(folder)
        if found != bundle.model_sha256:
            raise ArtefactTampered(bundle.model, bundle.version, bundle.model_sha256, found or "nothing")
        put(folder, destination)


def fetch_logged(registry: RegistryClient, bundle: Bundle, run_id: str, name: str, destination: Path) -> None:
    """Bring a file or folder of a version's run to ``destination``, in place of what is there."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".fetch-") as scratch:
        found = _download(registry, bundle, run_id, name, Path(scratch))
        if destination.is_dir():
            shutil.rmtree(destination)
        found.replace(destination)


def _download(registry: RegistryClient, bundle: Bundle, run_id: str, path: str, scratch: Path) -> Path:
    parent = Path(path).parent.as_posix()
    with registry.asking() as client:
        listed = client.list_artifacts(run_id, None if parent == "." else parent)
        if path not in {file.path for file in listed}:
            raise ArtefactMissing(bundle.model, bundle.version, path)
        return Path(client.download_artifacts(run_id, path, str(scratch)))
