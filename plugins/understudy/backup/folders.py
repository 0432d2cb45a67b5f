"""Copy folders that are written to meanwhile, and put them back where nothing is."""

import shutil
from pathlib import Path

from understudy.backup.errors import NotEmpty


def copy(source: Path, destination: Path) -> None:
    """Copy a folder's files but those that are being written (named with a dot first) or are removed meanwhile."""
    destination.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()) if source.is_dir() else ():
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            copy(path, destination / path.name)
        else:
            _copy_file(path, destination / path.name)


def put(source: Path, destination: Path) -> None:
    """Copy a folder to a place that is empty, in one step.

    :raises NotEmpty: where something is there.
    """
    require_empty(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    draft = destination.with_name(f".{destination.name}.restored")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(source, draft)
    try:
        draft.replace(destination)  # an empty folder gives way, a full one does not
    except OSError:
        # A volume is mounted there and cannot be replaced: it is filled.
        shutil.copytree(draft, destination, dirs_exist_ok=True)
        shutil.rmtree(draft)


def require_empty(folder: Path) -> None:
    """Refuse a folder that holds anything.

    :raises NotEmpty: naming it.
    """
    if folder.exists() and any(path.name != "lost+found" for path in folder.iterdir()):
        raise NotEmpty(str(folder), "Move it away first.")


def _copy_file(source: Path, destination: Path) -> None:
    try:
        shutil.copy2(source, destination)
    except FileNotFoundError:
        destination.unlink(missing_ok=True)
