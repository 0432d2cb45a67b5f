"""Paths that a declaration may name: of data, and of a team's code."""

import re
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

CODE = re.compile(r"^[\w/.-]+\.py:[A-Za-z_]\w*$")


def _no_way_out(path: str) -> str:
    if "://" not in path and ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path!r} climbs out with '..'; give an absolute path or one below the project")
    if "\x00" in path:
        raise ValueError("the path holds a NUL byte; remove it")
    if "://" in path and "@" in urlsplit(path).netloc:
        # Not repeated here: this sentence is shown where the password must not be.
        raise ValueError("the URL holds a user or password, which all would see; fetch the file, or use connection")
    return path


def _code(reference: str) -> str:
    if not CODE.match(reference) or reference.startswith("/"):
        raise ValueError(f"{reference!r} does not name code; write file.py:function, relative to the model's folder")
    return reference


SafePath = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_no_way_out)]
Code = Annotated[SafePath, AfterValidator(_code)]
