"""Links in a folder that somebody else filled: one that stays inside is kept as a link, one that leads out is refused.

The worker may read more than the people who fill such a folder; following their links would hand them what it can read.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from understudy.runners.errors import LinkLeadsOut


@dataclass(frozen=True)
class Below:
    """Name a plain file by its way down from a folder."""

    root: Path
    relative: PurePosixPath

    def open(self) -> BinaryIO:
        """Open it by going down step by step, so that no link that was put in the way meanwhile is followed.

        :raises OSError: where a link, something else or nothing is.
        """
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in self.relative.parts[:-1]:
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            # A pipe would be waited for.
            file = os.open(self.relative.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(0, "no plain file")
        return os.fdopen(file, "rb")

    def __str__(self) -> str:
        return str(self.root / self.relative)


def target_inside(link: Path, root: Path) -> str | None:
    """Say where a link leads, seen from where it lies; nothing where it ends nowhere, as an editor's lock does.

    :raises LinkLeadsOut: where that is outside of ``root``.
    """
    target = os.path.realpath(link)
    if not Path(target).is_relative_to(os.path.realpath(root)):
        raise LinkLeadsOut(link.relative_to(root).as_posix(), root, os.readlink(link))
    return os.path.relpath(target, os.path.realpath(link.parent)) if os.path.exists(target) else None


def links_out(folder: Path) -> Iterator[LinkLeadsOut]:
    """Find the links in a folder that leave it."""
    for above, names, files in os.walk(folder):
        names.sort()
        for path in (Path(above, name) for name in sorted((*names, *files))):
            if path.is_symlink():
                try:
                    target_inside(path, folder)
                except LinkLeadsOut as leads_out:
                    yield leads_out


def refuse_links_out(folder: Path) -> None:
    """Look at every link in a folder.

    :raises LinkLeadsOut: naming the first one that leaves it.
    """
    for leads_out in links_out(folder):
        raise leads_out
