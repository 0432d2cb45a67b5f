"""The models: registered, fetched, verified. Aliases report what the deployment record says."""

import math
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Alias
from understudy.hooks.registry.aliases import aliases_of, align
from understudy.hooks.registry.bundle_files import digest_of, forget_versions, remove_byte_code
from understudy.hooks.registry.client import RegistryClient, is_missing
from understudy.hooks.registry.errors import RegistryRefused, SignatureRefused, UnknownVersion
from understudy.hooks.registry.fetch import fetch_logged, fetch_model
from understudy.hooks.registry.registration import (
    Registration,
    check_folder,
    create_version,
    log_files,
    log_numbers,
    registered_version,
    write_evidence,
    write_run,
)
from understudy.signatures import SignatureInvalid, Signatures, sign

BUNDLE_TAGS = ("model_sha256", "image_digest", "code_commit", "spec_sha256", "data_version", "run", "reference_data")


class Registry:
    """Keep versions in MLflow, and local, verified copies of those that serve.

    :param bundles: where the copies of champion and previous champion are kept, so that a rollback needs no registry;
        below the deployment's home when absent.
    :param signing_key: what new versions are signed with, if anything.
    :param signatures: whose signatures are asked for before a version is handed out.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifacts: str,
        bundles: Path | None = None,
        *,
        signing_key: Path | None = None,
        signatures: Signatures = Signatures(),  # noqa: B008 - it is frozen
    ) -> None:
        self._mlflow = RegistryClient(tracking_uri, artifacts)
        self._bundles = bundles
        self._signing_key, self._signatures = signing_key, signatures

    def register(self, registration: Registration) -> Bundle:
        """Register what a run trained as a new version and challenger.

        The same artefact of the same run is registered once, however often this is called: an interrupted call is
        completed by the next, and the version appears last, with all its tags, or not at all.
        """
        check_folder(registration)
        version = registered_version(self._mlflow, registration)
        if version is None:
            signature = sign(registration.model_dir, self._signing_key) if self._signing_key is not None else ""
            run_id, source = write_run(self._mlflow, registration)
            version = create_version(self._mlflow, registration, run_id, source, signature)
        with self._mlflow.asking() as client:
            client.set_registered_model_alias(registration.model, Alias.CHALLENGER.value, str(version))
            client.set_terminated(str(client.get_model_version(registration.model, str(version)).run_id))
        return self.bundle_of(registration.model, version)

    def bundle_of(self, model: str, version: int) -> Bundle:
        """Read a version's bundle; raise UnknownVersion where there is none of ours."""
        tags = self._version(model, version).tags
        missing = [name for name in BUNDLE_TAGS if name not in tags]
        if missing:
            raise UnknownVersion(model, version, f"was not registered by Understudy (no tag {missing[0]})")
        threshold = tags.get("decision_threshold")
        return Bundle.model_validate(
            {
                **{name: tags[name] for name in BUNDLE_TAGS},
                "model": model,
                "version": version,
                "decision_threshold": float(threshold) if threshold else None,
                **{name: tags.get(name, "") for name in ("own_image", "signature")},
            }
        )

    def tags(self, bundle: Bundle) -> dict[str, str]:
        """Return all that is written on a version."""
        return dict(self._version(bundle.model, bundle.version).tags)

    def challenger(self, model: str) -> Bundle | None:
        """Return the newest version under judgement."""
        version = self.aliases(model).get(Alias.CHALLENGER)
        return None if version is None else self.bundle_of(model, version)

    def aliases(self, model: str) -> dict[Alias, int]:
        """Return which version each of our aliases names."""
        return aliases_of(self._mlflow, model)

    def follow(self, deployment: Deployment) -> dict[Alias, int | None]:
        """Set the aliases to what the record says; return those that had to be changed."""
        return align(self._mlflow, deployment)

    def mark_denied(self, model: str, version: int, data_version: str | None, reason: str) -> None:
        """Tag a version that must not serve again, and the data that trained it."""
        tags = {"denied": reason, "suspect_data": data_version or ""}
        known = self._version(model, version).tags
        with self._mlflow.asking() as client:
            for name, value in tags.items():
                if known.get(name) != value:
                    client.set_model_version_tag(model, str(version), name, value)
        if self.aliases(model).get(Alias.CHALLENGER) == version:
            with self._mlflow.asking() as client:
                client.delete_registered_model_alias(model, Alias.CHALLENGER.value)

    def attach(self, bundle: Bundle, files: Mapping[str, Path]) -> None:
        """Log more files or folders to a version's run, under the given names."""
        run_id = self._version(bundle.model, bundle.version).run_id
        with self._mlflow.asking() as client:
            log_files(client, str(run_id), files)

    def measure(self, bundle: Bundle, metrics: Mapping[str, float]) -> None:
        """Log further numbers to a version's run, each once."""
        run_id = str(self._version(bundle.model, bundle.version).run_id)
        with self._mlflow.asking() as client:
            log_numbers(client, client.get_run(run_id), {}, metrics)

    def keep_evidence(self, model: str, name: str, files: Mapping[str, Path], metrics: Mapping[str, float]) -> None:
        """Keep files and numbers that are about a model but about no version of it."""
        write_evidence(self._mlflow, model, name, files, metrics)

    def trace(self, bundle: Bundle, metrics: Mapping[str, float], at: datetime, step: int) -> None:
        """Log numbers of one moment to a version's run, which MLflow draws over time; a repetition changes nothing."""
        from mlflow.entities import Metric

        run_id = str(self._version(bundle.model, bundle.version).run_id)
        moment_ms = int(at.timestamp() * 1000)
        points = [Metric(name, value, moment_ms, step) for name, value in metrics.items() if math.isfinite(value)]
        with self._mlflow.asking() as client:
            client.log_batch(run_id, metrics=points)

    def fetch(self, bundle: Bundle, destination: Path) -> Path:
        """Bring a version's files to ``destination``, verified.

        A verified copy that is already there is used without asking the registry. Raise ArtefactMissing,
        ArtefactTampered or SignatureRefused.
        """
        self.require_signature(bundle)
        if digest_of(destination) == bundle.model_sha256:
            remove_byte_code(destination)
            return destination
        fetch_model(self._mlflow, bundle, self._version(bundle.model, bundle.version), destination)
        return destination

    def require_signature(self, bundle: Bundle) -> None:
        """Let a version pass that a trusted key signed, or any where the deployment asks for none.

        :raises SignatureRefused: for others; none of their files may be interpreted.
        """
        try:
            self._signatures.require(bundle)
        except SignatureInvalid as invalid:
            raise SignatureRefused(invalid) from invalid

    def fetch_file(self, bundle: Bundle, name: str, destination: Path) -> Path:
        """Bring a file or folder that was logged with a version to ``destination``."""
        run_id = self._version(bundle.model, bundle.version).run_id
        fetch_logged(self._mlflow, bundle, str(run_id), name, destination)
        return destination

    def keep(self, bundle: Bundle) -> Path:
        """Return the verified local copy of a bundle, fetched where it is absent or spoiled."""
        return self.fetch(bundle, self._kept(bundle.model) / str(bundle.version))

    def forget_all_but(self, kept: Deployment) -> None:
        """Remove the local copies that no rollback needs; newer versions may be about to serve and stay."""
        needed = {bundle.version for bundle in (kept.previous, kept.mirror, kept.canary) if bundle is not None}
        forget_versions(self._kept(kept.model), needed, below=kept.champion.version)

    def forget_copies(self, model: str) -> None:
        """Remove all local copies of a model's versions."""
        shutil.rmtree(self._kept(model), ignore_errors=True)

    def _kept(self, model: str) -> Path:
        if self._bundles is None:
            from understudy.settings import settings

            self._bundles = settings().home / "bundles"
        return self._bundles / model

    def _version(self, model: str, version: int) -> Any:
        try:
            with self._mlflow.asking() as client:
                return client.get_model_version(model, str(version))
        except RegistryRefused as refused:
            if is_missing(refused):
                raise UnknownVersion(model, version) from refused
            raise
