"""Files that travel through the engine's API, because it does not see the worker's."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from understudy.contract.entry_point import OUTPUTS_ENV, RESULT_ENV
from understudy.runners.archive import CHUNK, Entry, folder, pack, tree, unpack_folder
from understudy.runners.delivery import STAGE_FOLDER, User
from understudy.runners.errors import EngineRefused, JobGone
from understudy.runners.outputs import empty_folder, read_result, refuse_links, remove_folder
from understudy.runners.protocol import Job

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import Mount

ANSWER, OUTPUTS, RESULT = "answer", "outputs", "return.json"


class CopiedFiles:
    """Put everything in by one archive and take everything out by another; each costs about 40 ms.

    A read-only root file system takes files from outside only into volumes, and a tmpfs forgets its files when the
    container stops; hence one anonymous volume, removed with the container, in which result and outputs lie together.
    """

    kind: ClassVar[str] = "copied"
    environment: ClassVar[dict[str, str]] = {
        RESULT_ENV: f"{STAGE_FOLDER}/{ANSWER}/{RESULT}",
        OUTPUTS_ENV: f"{STAGE_FOLDER}/{ANSWER}/{OUTPUTS}",
    }

    def mounts(self, job: Job, user: User) -> list["Mount"]:  # noqa: ARG002 - the same volume for every job
        """Ask for the volume."""
        from docker.types import Mount

        return [Mount(STAGE_FOLDER, None, type="volume")]

    def fill(self, client: "APIClient", container: str, job: Job, user: User) -> None:
        """Send request and inputs."""
        client.put_archive(container, STAGE_FOLDER, pack(entries_of(job, user)))

    def collect(self, client: "APIClient", container: str, name: str, outputs: Path) -> bytes:
        """Fetch result and outputs."""
        arriving = outputs.with_name(f".{outputs.name}.{ANSWER}")
        empty_folder(arriving)
        try:
            url = f"{client.base_url}/v{client.api_version}/containers/{container}/archive"
            asked: Any = {"params": {"path": f"{STAGE_FOLDER}/{ANSWER}"}, "stream": True, "timeout": client.timeout}
            # Closed in any case: the engine locks the container while a stream is open. docker-py leaves it open.
            with client.get(url, **asked) as response:
                if response.status_code == 404:
                    raise JobGone(name)
                if not response.ok:
                    raise EngineRefused(response.text)
                unpack_folder(response.iter_content(CHUNK), arriving)
            body = read_result(arriving / RESULT, name)
            (arriving / OUTPUTS).mkdir(exist_ok=True)
            remove_folder(outputs)
            (arriving / OUTPUTS).rename(outputs)
        finally:
            remove_folder(arriving)
        refuse_links(outputs)
        return body

    def clear(self, name: str) -> None:
        """Leave it to the engine, which removes the volume with its container."""


def entries_of(job: Job, user: User) -> Iterator[Entry]:
    """List what goes into the volume."""
    yield Entry("request.json", job.request.model_dump_json().encode())
    yield folder(ANSWER, user)
    yield folder(f"{ANSWER}/{OUTPUTS}", user)
    yield folder("inputs")
    for name, path in job.inputs.items():
        yield from tree(f"inputs/{name}", path)
