"""One exception for each way in which a stage cannot start or cannot answer."""

from pathlib import Path

from understudy.contract.errors import UnderstudyError


class RequestUnreadable(UnderstudyError):
    """The request is missing or has another schema."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(
            f"The request {path} cannot be read: {problem}. Is the image older or newer than the library "
            "that Airflow runs? Rebuild it."
        )


class InputMissing(UnderstudyError):
    """A named input was not handed over."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        super().__init__(f"Input {name!r} is missing at {path}; the task that makes it must run again.")


class InputTampered(UnderstudyError):
    """An input is not the one that the request names."""

    def __init__(self, name: str, expected: str, found: str) -> None:
        self.name, self.expected, self.found = name, expected, found
        super().__init__(
            f"Input {name!r} was changed on its way: its SHA-256 is {found[:12]}…, the request names "
            f"{expected[:12]}…. Clear the task that makes it."
        )


class SecretsLost(UnderstudyError):
    """The secrets that the request announces did not arrive."""

    def __init__(self) -> None:
        super().__init__("The secrets did not arrive on the standard input: the submitter died on the way. Try again.")


class DatabaseUnreachable(UnderstudyError):
    """A database did not answer, or broke off; another try may find it up again."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(
            f"{field}: the database cannot be reached, or broke off ({problem}). Is it up, and is the address in the "
            "Airflow connection right? The task is tried again."
        )


class SourceUnreachable(UnderstudyError):
    """A web server did not answer as it should; another try may find it up again."""

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        super().__init__(f"data.source: {address} {problem}. Is the server up? The task is tried again.")


class BadOutput(UnderstudyError):
    """A stage function named an output that is not below its output folder."""

    def __init__(self, stage: str, name: str, path: Path, problem: str) -> None:
        self.stage, self.name, self.path = stage, name, path
        super().__init__(
            f"Stage {stage!r} returned output {name!r} at {path}, which {problem}; write it below context.outputs."
        )


class BadReport(UnderstudyError):
    """A stage function returned something that JSON cannot hold."""

    def __init__(self, stage: str, problem: str) -> None:
        self.stage = stage
        super().__init__(
            f"Stage {stage!r} returned what JSON cannot hold: {problem}. Return StageOutput(report=…) "
            "of plain numbers, strings, lists and objects."
        )


class ReportTooLarge(UnderstudyError):
    """The result is larger than Airflow takes."""

    def __init__(self, stage: str, size: int, limit: int) -> None:
        self.stage, self.size, self.limit = stage, size, limit
        super().__init__(
            f"The result of stage {stage!r} holds {size:,} bytes, {limit:,} are allowed; write bulk data "
            "to a file in context.outputs and return its path."
        )
