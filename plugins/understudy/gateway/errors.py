"""One exception for each way a gateway can say no."""

from pathlib import Path

from understudy.contract.errors import UnderstudyError


class OrderStale(UnderstudyError):
    """An order names an epoch that is over, or contradicts the record of its own epoch."""

    def __init__(self, model: str, ordered: int, served: int) -> None:
        self.model, self.ordered, self.served = model, ordered, served
        super().__init__(
            f"{model}: epoch {ordered} was ordered, but epoch {served} is served here and says something else. "
            "Read the newest deployment record and order that."
        )


class FilesMissing(UnderstudyError):
    """A version's files are not at this gateway."""

    def __init__(self, model: str, version: int) -> None:
        self.model, self.version = model, version
        super().__init__(
            f"{model}: the files of version {version} are not at this gateway. "
            f"Upload them to /admin/models/{model}/files/{version} and send the order again."
        )


class NotServing(UnderstudyError):
    """A model is known here, and no process of it can answer."""

    def __init__(self, model: str, problem: str | None) -> None:
        self.model = model
        why = f": {problem.rstrip('.')}" if problem else ""
        super().__init__(f"{model} does not serve at the moment{why}. Try again shortly.")


class Overloaded(UnderstudyError):
    """As many requests wait as may wait."""

    def __init__(self, model: str, waiting: int) -> None:
        self.model = model
        super().__init__(f"{model} has {waiting} requests waiting and takes no more. Try again shortly.")


class UploadRefused(UnderstudyError):
    """An upload is no version's files, or others than were announced."""

    def __init__(self, model: str, version: int, problem: str, status: int = 422) -> None:
        self.status = status
        super().__init__(f"The upload of {model} version {version} is refused: {problem}.")


class RecordUnreadable(UnderstudyError):
    """A record that this gateway wrote cannot be read back."""

    def __init__(self, path: Path, broken: Exception) -> None:
        first_line = str(broken).splitlines()[0] if str(broken) else type(broken).__name__
        super().__init__(f"{path} cannot be read ({first_line}); the next order for the model replaces it.")


class RequestRefused(UnderstudyError):
    """A request cannot be taken as it came."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)
