"""Hand matplotlib's list of this machine's fonts from stage to stage: where there are many, it takes seconds to make.

Each stage gets a copy. In one shared folder, a stage that is killed while it writes would leave a lock that every later
one waits for.
"""

import os
from pathlib import Path

LISTS = "fontlist-*.json"


def lend_fonts(kept: Path, folder: Path) -> None:
    """Give a stage's matplotlib folder what an earlier stage found."""
    folder.mkdir(parents=True)
    for known in kept.glob(LISTS):
        (folder / known.name).write_bytes(known.read_bytes())


def keep_fonts(folder: Path, kept: Path) -> None:
    """Take what a stage that ended in peace found, if that is new."""
    for found in folder.glob(LISTS):
        known, body = kept / found.name, found.read_bytes()
        if known.is_file() and known.read_bytes() == body:
            continue
        kept.mkdir(parents=True, exist_ok=True)
        draft = kept / f"{found.name}.{os.getpid()}.draft"
        draft.write_bytes(body)
        draft.replace(known)
