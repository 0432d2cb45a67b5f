"""Prove that what a ledger says serves can be had: each file read and held against its digest."""

from pathlib import Path
from tempfile import TemporaryDirectory

from understudy.contract.declared import DRILL_MODEL, Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle
from understudy.hooks.data.versions import DataVersions
from understudy.hooks.deployments import Deployments
from understudy.hooks.registry.registry import Registry


class Proof(Fact):
    """Say what was verified, in sentences, and what could not be."""

    verified: tuple[str, ...]
    missing: tuple[str, ...] = ()


def serving(deployments: Deployments) -> tuple[Bundle, ...]:
    """Name the champion of each model, and what a rollback would go back to; a drill's are spent and have no data."""
    records = [record for record in deployments.all_current() if record.model != DRILL_MODEL]
    named = [bundle for record in records for bundle in (record.champion, record.previous) if bundle]
    return tuple(sorted(set(named), key=lambda bundle: (bundle.model, bundle.version)))


def prove(bundles: tuple[Bundle, ...], registry: Registry, data: DataVersions, beside: Path) -> Proof:
    """Fetch each version from the registry, and the data that trained it, into a throw-away folder."""
    verified, missing = [], []
    for bundle in bundles:
        try:
            with TemporaryDirectory(prefix=".proof-", dir=beside) as scratch:
                registry.fetch(bundle, Path(scratch, "model"))
                data.restore(bundle.data_version, Path(scratch, "data.parquet"))
        except UnderstudyError as absent:
            missing.append(f"version {bundle.version} of {bundle.model}: {str(absent).rstrip('.')}")
        else:
            verified.append(
                f"version {bundle.version} of {bundle.model}: model {bundle.model_sha256[:12]} and its data "
                f"{bundle.data_version[:12]} have the recorded digests"
            )
    return Proof(verified=tuple(verified), missing=tuple(missing))
