"""Call the C library where Python has no function for it."""

import ctypes
import errno


def call(name: str, *arguments: int) -> None:
    """Call a function that answers 0 when it has done its work.

    :raises OSError: where it has not, or where this system has no such function.
    """
    library = ctypes.CDLL(None, use_errno=True)
    try:
        function = getattr(library, name)
    except AttributeError:
        raise OSError(errno.ENOSYS, name) from None
    if function(*map(ctypes.c_ulong, arguments)) != 0:
        raise OSError(ctypes.get_errno(), name)
