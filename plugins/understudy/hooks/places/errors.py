"""One exception for each way in which a place that serves models can fail us; a serving target raises these."""

from understudy.contract.errors import UnderstudyError
from understudy.hooks.errors import Refused


class TargetUnreachable(UnderstudyError):
    """A place does not answer, or not as it should; asking again may help."""

    def __init__(self, name: str, cause: str, way_out: str = "Check that it runs, then try again.") -> None:
        self.name, self.cause = name, cause
        super().__init__(f"{name} cannot be used ({cause}). {way_out}")


class TargetRefused(Refused):
    """A place says no: what served goes on serving."""

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(f"{name} refused: {problem.rstrip('.')}. What serves there goes on serving.")


class TargetIsAhead(Refused):
    """A place serves a newer record than the one that it was sent."""

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(f"{name} serves a newer record: {problem}")


class CannotRehearse(Refused):
    """A place was asked to compare two versions and mirrors no requests."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} does not mirror requests, so nothing is known of two versions there. Remove shadow and guard from "
            "the declaration, or let our gateways serve the model."
        )
