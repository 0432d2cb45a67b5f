"""One exception for each way a data version can be out of reach."""

from collections.abc import Sequence

from understudy.contract.errors import UnderstudyError


class UnknownDataVersion(UnderstudyError):
    """No recorded version has the hash."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(
            f"No data version {version!r} is recorded. `understudy data log MODEL` lists a model's versions; give "
            "a SHA-256 or at least its first 4 characters."
        )


class AmbiguousDataVersion(UnderstudyError):
    """Several recorded versions start with the characters."""

    def __init__(self, version: str, found: Sequence[str]) -> None:
        self.version, self.found = version, tuple(found)
        super().__init__(
            f"{len(found)} data versions start with {version!r}: {', '.join(f[:12] for f in found[:5])}. "
            "Give more characters."
        )


class DataDamaged(UnderstudyError):
    """The stored object is gone or is not what was recorded."""

    def __init__(self, sha256: str, store: str, problem: str) -> None:
        self.sha256, self.store = sha256, store
        super().__init__(
            f"Data version {sha256[:12]} cannot be restored: its object in {store} {problem}. Restore the "
            "store from a backup."
        )


class StoreUnreachable(UnderstudyError):
    """The store of the data cannot be read or written."""

    def __init__(self, store: str, cause: str) -> None:
        self.store, self.cause = store, cause
        super().__init__(
            f"The data store {store} cannot be reached ({cause}). Check the path or network and the access "
            "rights, then try again."
        )


class DataRegistryUnreachable(UnderstudyError):
    """The Git repository that records the versions cannot be read or written."""

    def __init__(self, registry: str, cause: str) -> None:
        self.registry, self.cause = registry, cause
        super().__init__(
            f"The data registry {registry} cannot be used ({cause}). Check the path or network and the access rights, "
            "then try again."
        )


class DataRegistryBusy(UnderstudyError):
    """Others kept committing first."""

    def __init__(self, registry: str, attempts: int) -> None:
        self.registry, self.attempts = registry, attempts
        super().__init__(
            f"The data registry {registry} rejected {attempts} pushes because others came first. Try again."
        )
