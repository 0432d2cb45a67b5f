"""Every window of data that a run read: recorded, found and restored by its hash."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from understudy.contract.declared import MODEL_NAME, Fact
from understudy.contract.stage import digest_file
from understudy.hooks.data.difference import DataDifference, difference_of
from understudy.hooks.data.dvc_store import POINTER_FILE, DvcStore, read_pointer
from understudy.hooks.data.errors import AmbiguousDataVersion, DataDamaged, UnknownDataVersion
from understudy.hooks.data.git_registry import GitRegistry

PREFIX = re.compile(r"^[0-9a-f]{4,64}$")
MODEL = re.compile(MODEL_NAME)
VERSIONS = "versions"


class DataVersion(Fact):
    """Name a window of data. ``sha256`` identifies it; ``md5`` is DVC's name for the same content."""

    sha256: str
    md5: str
    size_bytes: int
    rows: int | None
    model: str
    recorded_at: datetime
    facts: dict[str, JsonValue]
    commit: str
    """The commit of the data registry that recorded it."""


class DataVersions:
    """Record windows in a content-addressed store, and who read them in one Git repository.

    The repository holds ``versions/<sha256>/data.parquet.dvc`` and ``versions/<sha256>/<model>.json``. It is an
    ordinary DVC repository, so ``dvc get`` and ``git log`` work on it. Both are created where local and absent.

    :param registry: path or URL of the Git repository.
    :param store: path or URL of the DVC remote; further settings and secrets of it come from the environment.
    """

    def __init__(self, registry: str, store: str) -> None:
        self.registry = GitRegistry(registry)
        self.store = DvcStore(store)

    def record(
        self, data: Path, model: str, facts: Mapping[str, JsonValue], recorded_at: datetime | None = None
    ) -> DataVersion:
        """Keep a file and who read it; the same content for the same model is recorded once, however often it is read.

        :param facts: What to remember; ``rows`` is the number of rows.
        :raises StoreUnreachable, DataRegistryUnreachable, DataRegistryBusy: when it could not be kept.
        """
        if not MODEL.match(model):
            raise ValueError(f"{model!r} is not a model name")
        sha256 = digest_file(data)
        pointer = self.store.put(data)
        rows = facts.get("rows")
        entry = {
            "sha256": sha256,
            "md5": pointer.md5,
            "size_bytes": pointer.size_bytes,
            "rows": rows,
            "model": model,
            "recorded_at": (recorded_at or datetime.now(timezone.utc)).isoformat(),
            "facts": dict(facts),
        }

        def write(tree: Path) -> None:
            _write_once(tree / ".dvc" / "config", self.store.config)
            _write_once(tree / VERSIONS / sha256 / POINTER_FILE, pointer.text)
            _write_once(tree / VERSIONS / sha256 / f"{model}.json", json.dumps(entry, indent=1, sort_keys=True))

        self.registry.commit(write, f"{model}: {rows if rows is not None else 'unknown'} rows, {sha256[:12]}")
        with self.registry.clone() as tree:
            return self._read(tree, tree / VERSIONS / sha256 / f"{model}.json")

    def restore(self, version: str, destination: Path) -> Path:
        """Write the data of a version, named by its hash or the start of it, to ``destination``, whole or not at all.

        :raises UnknownDataVersion, AmbiguousDataVersion: when the hash names none or several versions.
        :raises DataDamaged, StoreUnreachable: when the content is gone, or is not what was recorded.
        """
        with self.registry.clone() as tree:
            folder = _find(tree, version)
            pointer = read_pointer((folder / POINTER_FILE).read_text(encoding="utf-8"))
        destination.parent.mkdir(parents=True, exist_ok=True)
        with self.store.get(pointer, folder.name, destination.parent) as fetched:
            if digest_file(fetched) != folder.name:
                raise DataDamaged(folder.name, self.store.url, "has another SHA-256 than was recorded")
            fetched.chmod(0o644)
            return fetched.replace(destination)

    def read_by(self, model: str, version: str) -> DataVersion | None:
        """Return what was noted when a model read a version, named by its whole hash; None where it never did."""
        with self.registry.clone() as tree:
            noted = tree / VERSIONS / version / f"{model}.json"
            return self._read(tree, noted) if MODEL.match(model) and PREFIX.match(version) and noted.exists() else None

    def log(self, model: str) -> list[DataVersion]:
        """List the versions that a model has read, oldest first."""
        with self.registry.clone() as tree:
            found = (
                [self._read(tree, path) for path in (tree / VERSIONS).glob(f"*/{model}.json")]
                if MODEL.match(model)
                else []
            )
        return sorted(found, key=lambda version: (version.recorded_at, version.sha256))

    def difference(self, before: str, after: str) -> DataDifference:
        """Compare two versions: columns, rows, missing values, means."""
        with TemporaryDirectory(prefix="understudy-difference-") as folder:
            return difference_of(
                self.restore(before, Path(folder, "before.parquet")), self.restore(after, Path(folder, "after.parquet"))
            )

    def _read(self, tree: Path, path: Path) -> DataVersion:
        commit = self.registry.git(
            "log", "-1", "--format=%H", "--diff-filter=A", "--", str(path.relative_to(tree)), at=tree
        )
        return DataVersion.model_validate({**json.loads(path.read_text(encoding="utf-8")), "commit": commit})


def _write_once(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _find(tree: Path, version: str) -> Path:
    found = sorted((tree / VERSIONS).glob(f"{version}*")) if PREFIX.match(version) else []
    if not found:
        raise UnknownDataVersion(version)
    if len(found) > 1:
        raise AmbiguousDataVersion(version, [folder.name for folder in found])
    return found[0]
