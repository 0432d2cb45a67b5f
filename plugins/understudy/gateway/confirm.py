"""Have the disk confirm what was written, on every system."""

import errno
import fcntl
import os

WHOLE: int | None = getattr(fcntl, "F_FULLFSYNC", None)
NO_SUCH_ORDER = (errno.ENOTSUP, errno.ENOTTY, errno.EINVAL)  # a disk on the network: fsync has reached its server


def confirm(file: int) -> None:
    """Block until a file, or a folder's names, survive a power cut.

    :raises OSError: where the disk refuses.
    """
    os.fsync(file)
    if WHOLE is not None:
        try:
            # macOS: fsync alone leaves the bytes in the drive's own memory.
            fcntl.fcntl(file, WHOLE)
        except OSError as refused:
            if refused.errno not in NO_SUCH_ORDER:
                raise
