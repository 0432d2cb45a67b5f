"""How a job's files reach its container, and how its answer reaches the worker."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from understudy.runners.protocol import Job

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import Mount

STAGE_FOLDER = "/understudy"
User = tuple[int, int]


class Delivery(Protocol):
    """Bring files in and out. It knows nothing of a job but its name once the job runs, for the worker may change."""

    kind: ClassVar[str]
    """Kept with the job, so that whoever collects it knows how it was delivered."""
    environment: ClassVar[dict[str, str]]
    """Tells the entry point where things are, as far as they are elsewhere than it expects."""

    def mounts(self, job: Job, user: User) -> list["Mount"]:
        """Get the files ready and say what to mount."""
        ...

    def fill(self, client: "APIClient", container: str, job: Job, user: User) -> None:
        """Put files into the container, which exists and does not run yet."""
        ...

    def collect(self, client: "APIClient", container: str, name: str, outputs: Path) -> bytes:
        """Bring the outputs to their folder and return the result of an ended container."""
        ...

    def clear(self, name: str) -> None:
        """Remove what :meth:`mounts` made."""
        ...
