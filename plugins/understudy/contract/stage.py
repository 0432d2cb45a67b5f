"""What goes into a stage and what comes out: versioned JSON, never logs, never pickle."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator

from understudy.contract.declared import Fact, sha256_of

RESULT_LIMIT_BYTES = 2_000_000


class Artefact(Fact):
    """Point at a file or folder: where it lies below its root, and what it must hash to."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    is_directory: bool = False

    @field_validator("path")
    @classmethod
    def _stay_below_the_root(cls, path: str) -> str:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or not path:
            raise ValueError(f"{path!r} leaves its root; give a relative path without '..'")
        return path


def digest_file(path: Path) -> str:
    """Digest a file by SHA-256 in constant memory."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def artefact_of(path: Path, root: Path) -> Artefact:
    """Describe a file or a folder; a folder's digest is that of its sorted list of file digests.

    Python's byte code caches are left out: they differ from machine to machine and say nothing.
    """
    relative = path.relative_to(root).as_posix()
    if path.is_file():
        return Artefact(path=relative, sha256=digest_file(path), size_bytes=path.stat().st_size)
    files = [f for f in path.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    sha256 = digest_of_files({f.relative_to(path).as_posix(): digest_file(f) for f in files})
    return Artefact(path=relative, sha256=sha256, is_directory=True, size_bytes=sum(f.stat().st_size for f in files))


def digest_of_files(digests: Mapping[str, str]) -> str:
    """Digest a folder by the digests of its files, which go by their paths in it."""
    return sha256_of([[path, digests[path]] for path in sorted(digests, key=lambda path: PurePosixPath(path).parts)])


class StageRequest(Fact):
    """Ask a container for one piece of work.

    ``stage`` is a built-in name or ``package.module:function``. ``inputs`` maps a name to what is mounted, read-only,
    at ``<inputs>/<name>``. Nothing in a request is secret: secrets travel apart (see ``runners/protocol.py``).
    """

    schema_version: Literal[1] = 1
    stage: str
    model: str
    run: str
    as_of: datetime
    seed: int = 0
    spec: dict[str, JsonValue] = Field(default_factory=dict)
    params: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[str, Artefact] = Field(default_factory=dict)


class Refusal(Fact):
    """Say in one sentence why the input was refused, and which field or file to look at."""

    message: str
    field: str | None = None


class StageResult(Fact):
    """Answer a request: the measured report, the files written, or a refusal.

    ``timings`` (seconds, or milliseconds where the name says so) and ``peak_memory_mb`` vary from run to run and are
    left out of :meth:`digest`.
    """

    schema_version: Literal[1] = 1
    stage: str
    report: dict[str, JsonValue] = Field(default_factory=dict)
    outputs: dict[str, Artefact] = Field(default_factory=dict)
    refusal: Refusal | None = None
    timings: dict[str, float] = Field(default_factory=dict)
    peak_memory_mb: float | None = None

    def digest(self) -> str:
        """Digest what the same request must give on every runner."""
        body: dict[str, Any] = self.model_dump(mode="json", exclude={"timings", "peak_memory_mb"})
        return sha256_of(body)
