"""Which code made a model: the commit of the project, and whether the tree had changes beside it."""

import os
import subprocess
from functools import lru_cache
from pathlib import Path

UNKNOWN = "unknown"
BUILT_FROM = "UNDERSTUDY_CODE_COMMIT"
"""An image says in its environment what it was built from: it has no Git checkout that could be asked."""


@lru_cache(maxsize=4)
def code_commit(project: Path) -> str:
    """Return the commit, with ``+changes`` where the tree differs from it.

    Outside a Git checkout that is what the image was built from, else ``unknown``.
    """
    try:
        commit = _git(project, "rev-parse", "HEAD")
        changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return os.environ.get(BUILT_FROM) or UNKNOWN
    return f"{commit}+changes" if changes else commit


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(project), *arguments], check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()
