"""Load a team's function from its model's folder."""

import importlib.util
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from understudy.contract.suggest import nearest
from understudy.stages.context import Refused


def load_function(folder: Path, reference: str) -> Callable[..., Any]:
    """Load ``file.py:function``; files beside it can be imported by it.

    :raises Refused: when the file lies outside of the folder, is not there, does not run, or has no such function.
    """
    file, _, name = reference.partition(":")
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise Refused(f"{reference} leads out of the model's folder; put the file into it", reference)
    if not path.is_file():
        raise Refused(
            f"{reference}: there is no {file} in the model's folder"
            f"{nearest(file, [found.name for found in folder.glob('*.py')])}",
            reference,
        )
    # The module's name says where it came from, so that two models' trainer.py never meet in sys.modules.
    unique = f"understudy_code_{sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise Refused(f"{reference}: {file} is not a Python file; name one that ends in .py", reference)
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except Exception as broken:
        del sys.modules[unique]
        raise Refused(f"{reference}: {file} does not run: {type(broken).__name__}: {broken}", reference) from broken
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise Refused(f"{reference}: {file} has no function {name!r}{nearest(name, known)}", reference)
    return function  # type: ignore[no-any-return]
