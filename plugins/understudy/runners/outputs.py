"""What a stage wrote, in folders that it controlled: believe nothing of it, follow no link, wait for no pipe."""

import errno
import os
import shutil
import stat
from pathlib import Path

from understudy.contract.stage import RESULT_LIMIT_BYTES
from understudy.runners.errors import ResultMissing, ResultTooLarge, UnsafeOutputs

NO_PLAIN_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EACCES)  # nothing, a link, a socket, one that is closed


def empty_folder(folder: Path) -> None:
    """Make the folder and remove what an earlier try left in it."""
    remove_folder(folder)
    folder.mkdir(parents=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder that a stage wrote to, also where it closed some of it to its owner; do nothing if it is gone."""
    if not folder.is_dir() or folder.is_symlink():
        return
    try:
        shutil.rmtree(folder)
    except PermissionError:
        for above, names, _ in os.walk(folder):
            for name in names:
                if not os.path.islink(os.path.join(above, name)):
                    os.chmod(os.path.join(above, name), stat.S_IRWXU)
        shutil.rmtree(folder)


def read_result(path: Path, job: str) -> bytes:
    """Read a result.

    :raises ResultMissing: where no plain file is.
    :raises ResultTooLarge: where it holds more than RESULT_LIMIT_BYTES.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as unreadable:
        if unreadable.errno in NO_PLAIN_FILE:
            raise ResultMissing(job) from unreadable
        raise
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise ResultMissing(job)
    with os.fdopen(descriptor, "rb") as stream:
        if facts.st_size > RESULT_LIMIT_BYTES:
            raise ResultTooLarge(job, facts.st_size, RESULT_LIMIT_BYTES)
        return stream.read(RESULT_LIMIT_BYTES)


def refuse_links(outputs: Path) -> None:
    """Refuse links, sockets and devices, which would make the worker read what the stage may not.

    :raises UnsafeOutputs: naming the first one.
    """
    for folder, names, files in os.walk(outputs):
        for name in (*names, *files):
            path = Path(folder) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise UnsafeOutputs(path.relative_to(outputs).as_posix(), "is a link or a special file")
