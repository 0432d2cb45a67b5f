"""The window that a champion is compared with: restored once, kept as long as it serves."""

from pathlib import Path

from understudy.contract.release import Bundle
from understudy.contract.stage import digest_file
from understudy.hooks.data.versions import DataVersions


def reference_of(bundle: Bundle, versions: DataVersions, home: Path) -> Path:
    """Return a champion's reference window as a Parquet file below ``home``, restored where it is absent or spoiled.

    A look comes every hour and a window may have gigabytes, so the file stays until another champion is looked at.

    :raises UnknownDataVersion, DataDamaged: when it is gone for good.
    :raises StoreUnreachable, DataRegistryUnreachable: when it may be there later.
    """
    folder = home / "references" / bundle.model
    kept = folder / f"{bundle.reference_data}.parquet"
    if not kept.exists() or digest_file(kept) != bundle.reference_data:
        versions.restore(bundle.reference_data, kept)
    for other in folder.glob("*.parquet"):
        if other != kept:
            other.unlink(missing_ok=True)
    return kept
