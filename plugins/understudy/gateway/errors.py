"""One exception for each way a gateway can say no."""

from collections.abc import Sequence
from pathlib import Path

from understudy.contract.break_glass import BrokenGlass
from understudy.contract.errors import UnderstudyError
from understudy.contract.moment import moment_to_the_second


class OrderStale(UnderstudyError):
    """An order names an epoch that is over, or contradicts the record of its own epoch."""

    def __init__(self, model: str, ordered: int, served: int) -> None:
        self.model, self.ordered, self.served = model, ordered, served
        super().__init__(
            f"{model}: epoch {ordered} was ordered, but epoch {served} is served here and says something else. "
            "Read the newest deployment record and order that."
        )


class TakenBack(UnderstudyError):
    """An order's champion was taken back at this gateway by break-glass."""

    def __init__(self, glass: BrokenGlass) -> None:
        self.glass = glass
        super().__init__(
            f"Version {glass.taken_back.version} of {glass.model} was taken back here by break-glass ({glass.actor}, "
            f"{moment_to_the_second(glass.at)}), and version {glass.target.version} answers. The follower "
            "reports it to the ledger as soon as it reaches it; promote another version then."
        )


class AnotherAnswers(UnderstudyError):
    """Break-glass names another version than the one that answers."""

    def __init__(self, model: str, answering: int, named: int) -> None:
        self.model, self.answering, self.named = model, answering, named
        super().__init__(
            f"Version {answering} of {model} answers here, not version {named}, so nothing was taken back. "
            f"Name version {answering} if that is the one that hurts."
        )


class NoWayBack(UnderstudyError):
    """Break-glass finds no warm previous champion."""

    def __init__(self, model: str, answering: int, why: str, left: Sequence[int]) -> None:
        self.model, self.answering, self.left = model, answering, tuple(left)
        listing = ", ".join(map(str, self.left)) or "none"
        super().__init__(
            f"Version {answering} of {model} cannot be taken back here: {why.rstrip('.')}. It goes on answering. Other "
            f"versions whose files are at this gateway: {listing}; once the ledger answers, "
            f"`understudy rollback {model} --to VERSION` goes back to one of them that was not taken back before."
        )


class CanaryOver(UnderstudyError):
    """A canary is asked about that has ended at this gateway by itself."""

    def __init__(self, model: str, gateway: str) -> None:
        super().__init__(
            f"The canary of {model} has ended at gateway {gateway} by itself, because nobody who could have ended it "
            "came by for longer than its lease. The ledger hears of it from the gateway's follower."
        )


class GlassUnreadable(UnderstudyError):
    """What was taken back here by break-glass cannot be read."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Nothing is served, because it cannot be told what was taken back by break-glass: {problem.rstrip('.')}. "
            "Read the file, delete it, and restart the gateway."
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


class NoSuchVersion(UnderstudyError):
    """A version is asked by its number that does not answer callers here."""

    def __init__(self, model: str, version: int) -> None:
        self.model, self.version = model, version
        super().__init__(
            f"Version {version} of {model} answers nobody here. Leave the version out, or name one of those that "
            f"/v2/models/{model} lists."
        )


class Overloaded(UnderstudyError):
    """No more requests may wait."""

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
        super().__init__(f"{path} cannot be read ({first_line}).")


class RequestRefused(UnderstudyError):
    """A request cannot be taken as it came."""

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)
