"""Find and digest what a stage is given."""

from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from understudy.contract.stage import Artefact, StageRequest, artefact_of
from understudy.operators.stage_errors import InputLeadsOut, InputUnusable
from understudy.runners.errors import LinkLeadsOut
from understudy.runners.links import refuse_links_out
from understudy.workspace import RunFolder

UNKNOWN = "0" * 64


def named_inputs(given: dict[str, Any], folder: RunFolder) -> dict[str, Artefact]:
    """Read a task's ``inputs`` argument: each a path below the workspace, or what an upstream task returned.

    :raises InputUnusable: for a path that leaves the workspace or leads nowhere.
    """
    return {name: _artefact(name, value, folder) for name, value in given.items()}


def digested(request: StageRequest, paths: dict[str, Path], known: dict[str, Artefact]) -> StageRequest:
    """Complete a request by the digests of its inputs; one that an upstream task has named stays as it named it."""
    given = {**known, **request.inputs}
    return request.model_copy(
        update={"inputs": {name: given.get(name) or _described(name, path) for name, path in paths.items()}}
    )


def _artefact(name: str, value: Any, folder: RunFolder) -> Artefact:
    try:
        if not isinstance(value, str):
            return Artefact.model_validate(value)
        Artefact(path=value, sha256=UNKNOWN, size_bytes=0)  # refuses a path that leaves the workspace
    except ValidationError as invalid:
        raise InputUnusable(name, invalid.errors()[0]["msg"].removeprefix("Value error, ")) from invalid
    return _described(name, folder.workspace / value, folder.workspace)


def _described(name: str, path: Path, root: Path | None = None) -> Artefact:
    if PurePosixPath(name).name != name:
        raise InputUnusable(name, "its name is not a plain file name")
    if not path.exists():
        raise InputUnusable(name, f"{path} does not exist")
    try:
        refuse_links_out(path)
    except LinkLeadsOut as leads_out:
        raise InputLeadsOut(name, str(leads_out)) from leads_out
    return artefact_of(path, root or path.parent)
