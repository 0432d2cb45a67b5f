"""One exception for each way the registry, or what it keeps, can fail us."""

from understudy.contract.errors import UnderstudyError
from understudy.hooks.errors import Refused
from understudy.signatures import SignatureInvalid


class RegistryUnavailable(UnderstudyError):
    """MLflow does not answer."""

    def __init__(self, uri: str, cause: str) -> None:
        self.uri, self.cause = uri, cause
        super().__init__(f"The registry {uri} does not answer ({cause}). Check that MLflow runs, then try again.")


class RegistryRefused(UnderstudyError):
    """MLflow answers that a request is wrong."""

    def __init__(self, uri: str, cause: str) -> None:
        self.uri, self.cause = uri, cause
        super().__init__(f"The registry {uri} refused: {cause}")


class UnknownVersion(Refused):
    """The registry holds no such version, or not one of ours."""

    def __init__(self, model: str, version: int, problem: str = "is not in the registry") -> None:
        self.model, self.version, self.problem = model, version, problem
        super().__init__(
            f"Version {version} of {model} {problem}. `understudy status {model}` lists the known versions."
        )


class NotAModel(Refused):
    """A folder that should be registered is no MLflow model."""

    def __init__(self, model: str, problem: str) -> None:
        self.model, self.problem = model, problem
        super().__init__(f"What {model}'s training wrote cannot be registered: {problem}. Run the training again.")


class ArtefactMissing(Refused):
    """The files of a version are gone."""

    def __init__(self, model: str, version: int, what: str) -> None:
        self.model, self.version, self.what = model, version, what
        super().__init__(
            f"The files of version {version} of {model} are gone ({what}). "
            f"Restore them from a backup, or use another version."
        )


class ArtefactTampered(Refused):
    """The files of a version are not those that were registered."""

    def __init__(self, model: str, version: int, expected: str, found: str) -> None:
        self.model, self.version, self.expected, self.found = model, version, expected, found
        super().__init__(
            f"The files of version {version} of {model} hash to {found[:12]}, but {expected[:12]} was "
            f"registered: somebody changed them, so they are not loaded. Restore them from a backup, "
            f"or use another version."
        )


class SignatureRefused(Refused):
    """Nobody whom this deployment trusts vouches for a version."""

    def __init__(self, told: SignatureInvalid) -> None:
        super().__init__(str(told))
