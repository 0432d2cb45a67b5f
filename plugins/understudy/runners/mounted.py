"""Files that worker and engine share: the workspace, mounted."""

import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from understudy.runners.archive import Entry, folder, lay_out, tree
from understudy.runners.delivery import User
from understudy.runners.errors import JobGone
from understudy.runners.outputs import empty_folder, read_result, refuse_links, remove_folder
from understudy.runners.protocol import INPUTS_PATH, OUTPUTS_PATH, REQUEST_PATH, RESULT_PATH, Job

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import Mount

JOBS, LABELS = ".containers", "labels.json"


class MountedFiles:
    """Mount what lies in the workspace; what lies elsewhere is copied into the job's own folder there first.

    Copying through the engine costs about 40 ms a call, mounting next to nothing.

    :param workspace: the worker's workspace.
    :param on_daemon: the same folder as the engine sees it; empty where it does not.
    """

    kind: ClassVar[str] = "mounted"
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, workspace: Path, on_daemon: str) -> None:
        self.workspace, self.on_daemon = workspace, on_daemon

    def reaches(self, path: Path) -> bool:
        """Tell whether the engine sees a path of the worker."""
        return bool(self.on_daemon) and path.resolve().is_relative_to(self.workspace.resolve())

    def mounts(self, job: Job, user: User) -> list["Mount"]:
        """Write the request, make the folder for the result, and mount both beside inputs and outputs."""
        own = self._folder(job.name)
        empty_folder(own)
        shared = {name: path for name, path in job.inputs.items() if self.reaches(path)}
        entries = [
            Entry(LABELS, json.dumps(job.labels).encode()),
            Entry("request.json", job.request.model_dump_json().encode()),
            folder("xcom", user),
        ]
        foreign = job.inputs.keys() - shared.keys()
        if foreign:
            entries.append(folder("inputs"))
        lay_out(entries, own)
        for name in foreign:
            lay_out(tree(f"inputs/{name}", job.inputs[name]), own)
        if os.getuid() == 0:
            os.chown(job.outputs, *user)
        return [
            self._mount(REQUEST_PATH, own / "request.json"),
            self._mount(str(PurePosixPath(RESULT_PATH).parent), own / "xcom", read_only=False),
            self._mount(OUTPUTS_PATH, job.outputs, read_only=False),
            *(self._mount(f"{INPUTS_PATH}/{name}", shared.get(name, own / "inputs" / name)) for name in job.inputs),
        ]

    def fill(self, client: "APIClient", container: str, job: Job, user: User) -> None:
        """Leave the container alone: everything is mounted."""

    def collect(self, client: "APIClient", container: str, name: str, outputs: Path) -> bytes:  # noqa: ARG002
        """Read the result; the outputs are where they belong already."""
        if not self._folder(name).is_dir():
            raise JobGone(name)
        body = read_result(self._folder(name) / "xcom" / PurePosixPath(RESULT_PATH).name, name)
        refuse_links(outputs)
        return body

    def clear(self, name: str) -> None:
        """Remove the job's own folder; its outputs lie elsewhere and stay."""
        remove_folder(self._folder(name))

    def left(self) -> list[dict[str, str]]:
        """List the folders that exist, by the labels of their jobs."""
        found = []
        for labels in sorted(self.workspace.glob(f"{JOBS}/*/{LABELS}")):
            try:
                found.append(json.loads(labels.read_bytes()))
            except (FileNotFoundError, json.JSONDecodeError):
                continue  # just being removed, or just being written
        return found

    def _folder(self, name: str) -> Path:
        return self.workspace / JOBS / name

    def _mount(self, target: str, path: Path, *, read_only: bool = True) -> "Mount":
        from docker.types import Mount

        below = path.resolve().relative_to(self.workspace.resolve())
        source = PurePosixPath(self.on_daemon) / below.as_posix()
        return Mount(target, str(source), type="bind", read_only=read_only)
