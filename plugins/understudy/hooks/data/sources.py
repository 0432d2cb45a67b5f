"""The files that a declaration names: found, bounded to where they may lie, and named for the container."""

import re
from glob import glob, has_magic
from pathlib import Path

from understudy.contract.errors import UnderstudyError

URL_SCHEMES = ("http://", "https://")
FILE_SCHEME = "file://"
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class SourceUnusable(UnderstudyError):
    """A declared file cannot be given to a stage."""


class SourceNotFound(SourceUnusable):
    """No file matches."""

    def __init__(self, field: str, source: str, looked_at: Path) -> None:
        super().__init__(
            f"{field} {source!r} matches no file (looked at {looked_at}); correct the path or put the file there."
        )


class SourceOutOfBounds(SourceUnusable):
    """A source lies where this deployment does not let models read."""

    def __init__(self, field: str, source: str, found: Path, allowed: str) -> None:
        super().__init__(
            f"{field} {source!r} leads to {found}, outside of {allowed}; move the file, or let the platform team "
            "extend AIRFLOW__UNDERSTUDY__DATA_ROOTS."
        )


class SourceUnsupported(SourceUnusable):
    """A source lies where nothing of ours fetches it."""

    def __init__(self, field: str, source: str, scheme: str) -> None:
        super().__init__(
            f"{field} {source!r}: {scheme} is not supported; give a path, a glob, or an http, https or file URL, and "
            "fetch the file by a task of your own where it lies elsewhere."
        )


class SourceUnreadable(SourceUnusable):
    """A source is there but not a readable file."""

    def __init__(self, field: str, path: Path) -> None:
        super().__init__(f"{field} {path} is not a file that this user can read; check its type and permissions.")


def is_url(source: str) -> bool:
    """Tell what is fetched over the network from a path."""
    return source.startswith(URL_SCHEMES)


def find_sources(source: str, project: Path, data_roots: str, field: str = "data.source") -> dict[str, Path]:
    """Map ``source-<i><suffixes>``, the name inside the container, to each file that a path or glob names.

    A relative source stays below the project, symbolic links included; an absolute one stays below ``data_roots``
    where the deployment sets them. ``field`` is where the declaration names it, for the errors.

    :raises SourceUnusable: when it cannot be read.
    """
    source = source.removeprefix(FILE_SCHEME)
    scheme = SCHEME.match(source)
    if scheme:
        raise SourceUnsupported(field, source, scheme[0])
    pattern = Path(source) if Path(source).is_absolute() else project / source
    found = sorted(glob(str(pattern), recursive=True)) if has_magic(source) else [str(pattern)]
    files = [Path(f) for f in found if not Path(f).is_dir() or not has_magic(source)]
    if not files or not files[0].exists():
        raise SourceNotFound(field, source, pattern)
    roots = [Path(root).resolve() for root in data_roots.split(":") if root]
    allowed = roots if Path(source).is_absolute() else [project.resolve(), *roots]
    for file in files:
        if allowed and not any(file.resolve().is_relative_to(root) for root in allowed):
            raise SourceOutOfBounds(field, source, file.resolve(), ":".join(map(str, allowed)))
        try:
            if not file.is_file():  # a pipe would be waited for
                raise SourceUnreadable(field, file)
            file.open("rb").close()
        except OSError as unreadable:
            raise SourceUnreadable(field, file) from unreadable
    return {f"source-{index}{''.join(file.suffixes[-2:])}": file for index, file in enumerate(files)}
