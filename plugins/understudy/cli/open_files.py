"""Let this process and what it starts hold enough files open at once."""

import resource

WANTED = 4096
"""A gateway holds a connection for each caller, a stack some hundred files; macOS starts with 256."""


def allow_open_files(wanted: int = WANTED) -> None:
    """Raise the soft limit as far as the system's hard limit lets it; never lower it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
