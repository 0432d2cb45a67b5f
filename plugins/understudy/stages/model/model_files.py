"""A model on disk: a self-contained MLflow folder with ``understudy.json`` beside the MLmodel file."""

import logging
import os
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from understudy.contract.errors import UnderstudyError
from understudy.stages.model.canonical_files import canonicalise_mlflow, canonicalise_skops, minor_python
from understudy.stages.model.load_code import load_function
from understudy.stages.model.scorer import ModelFacts, Scorer
from understudy.stages.model.storable import storage_of
from understudy.stages.model.trusted_types import TRUSTED_TYPES

FACTS = "understudy.json"
CODE = "code"
LIBRARIES = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "scipy", "skops")
EXAMPLE_ROWS = 3


class ModelUnreadable(UnderstudyError):
    """A model's folder is not one of ours, or not whole."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"The model in {path} cannot be loaded: {problem}. Train it again, or restore its files.")


class PickleRefused(UnderstudyError):
    """A model is stored as pickle, which runs its code when loaded, and the spec does not allow that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"The model in {path} is stored as pickle, and loading it runs its code; set train.allow_pickle "
            "to accept that, or roll back to a version without pickle."
        )


def save_model(
    folder: Path,
    scorer: Scorer,
    sample: pd.DataFrame,
    code: Path | None,
    created: datetime,
    *,
    allow_pickle: bool = False,
) -> None:
    """Write a model so that the same model gives the same bytes.

    :param sample: typed feature rows, for the signature and the input example.
    :param created: the time of the newest row learned from; the clock would change the bytes.
    :raises Refused: where only pickle could store the model and the spec does not allow it.
    """
    mlflow = _quiet_mlflow()
    storage = storage_of(scorer.model, scorer.facts.estimator, allow_pickle=allow_pickle)
    facts = _facts(scorer, storage)
    pins = [f"{name}=={number}" for name, number in facts.libraries.items()]
    example = sample.head(EXAMPLE_ROWS)
    with tempfile.TemporaryDirectory() as staging, _pickled_by_value(code):
        mlflow.sklearn.save_model(
            scorer.model,
            str(folder),
            serialization_format=storage,
            pip_requirements=pins,
            signature=mlflow.models.infer_signature(sample, scorer.answer(sample)),
            input_example=example,
            code_paths=[str(child) for child in _copy_code(code, Path(staging))] or None,
            skops_trusted_types=list(TRUSTED_TYPES) if storage == "skops" else None,
        )
    if storage == "skops":
        canonicalise_skops(folder / "model.skops")
    _write_facts(folder, facts)
    canonicalise_mlflow(folder, created.isoformat(), pins, minor_python(platform.python_version()))


def save_reference(folder: Path, scorer: Scorer, code: Path | None) -> None:
    """Write a simple model of our own for :func:`load_model` alone, without what others need to serve it."""
    import skops.io

    folder.mkdir(parents=True)
    skops.io.dump(scorer.model, folder / "model.skops")
    canonicalise_skops(folder / "model.skops")
    _copy_code(code, folder / CODE)
    _write_facts(folder, _facts(scorer, "skops"))


def _facts(scorer: Scorer, storage: str) -> ModelFacts:
    libraries = {name: version(name) for name in _installed()}
    return scorer.facts.model_copy(update={"storage": storage, "libraries": libraries})


def _write_facts(folder: Path, facts: ModelFacts) -> None:
    (folder / FACTS).write_text(facts.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _quiet_mlflow() -> Any:
    """Import MLflow without its calls home and its warnings about what is decided here (pip, pickle)."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of its own type hints while it is imported
        import mlflow.models
        import mlflow.pyfunc
        import mlflow.sklearn
    for chatty in ("mlflow.utils.environment", "mlflow.sklearn"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    return mlflow


@contextmanager
def _pickled_by_value(code: Path | None) -> Iterator[None]:
    """Let cloudpickle store the team's own modules whole: where the model is loaded, they have other names or none."""
    import cloudpickle

    own = [
        m
        for m in list(sys.modules.values())
        if code and str(getattr(m, "__file__", None) or "").startswith(f"{code.resolve()}{os.sep}")
    ]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _installed() -> list[str]:
    from importlib.metadata import PackageNotFoundError

    found = []
    for name in LIBRARIES:
        try:
            version(name)
        except PackageNotFoundError:
            continue  # a team's image may leave out what its models do not need
        found.append(name)
    return found


def _copy_code(code: Path | None, to: Path) -> list[Path]:
    """Copy the team's Python files, and nothing else of its folder; return what now lies there."""
    if code is None:
        return []
    for source in sorted(code.rglob("*.py")):
        target = to / source.relative_to(code)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return sorted(to.iterdir()) if to.exists() else []


def load_model(path: Path, *, allow_pickle: bool = False) -> Scorer:
    """Load a model that was written here; verify its digest first where it came from elsewhere.

    :raises ModelUnreadable: where files are missing or hold types that are not on our list.
    :raises PickleRefused: where loading would run the model's own code without leave.
    """
    try:
        facts = ModelFacts.model_validate_json((path / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as broken:
        raise ModelUnreadable(path, f"{FACTS} is missing or no such record") from broken
    if facts.storage == "cloudpickle" and not allow_pickle:
        raise PickleRefused(path)
    _without_byte_code(path)
    prepare = load_function(path / CODE, facts.prepare) if facts.prepare else None
    return Scorer(facts, _read_pickle(path) if facts.storage == "cloudpickle" else _read_skops(path), prepare)


def _without_byte_code(path: Path) -> None:
    """Remove byte code beside the model's own code: no digest covers it, and Python would run it instead."""
    if sys.pycache_prefix is not None:
        return  # Python looks for it elsewhere
    sys.dont_write_bytecode = True
    for cache in (path / CODE).rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
        if cache.exists():
            raise ModelUnreadable(path, f"{cache.relative_to(path)} holds byte code that no digest covers; remove it")


def _read_skops(path: Path) -> Any:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.load(path / "model.skops", trusted=list(TRUSTED_TYPES))
    except FileNotFoundError as missing:
        raise ModelUnreadable(path, "model.skops is missing") from missing
    except UntrustedTypesFoundException as strange:
        raise ModelUnreadable(path, f"it holds types that are not on the list of trusted ones ({strange})") from strange


def _read_pickle(path: Path) -> Any:
    import cloudpickle

    sys.path.insert(0, str(path / CODE))  # modules that trainer.py itself imports
    try:
        return cloudpickle.loads((path / "model.pkl").read_bytes())
    except FileNotFoundError as missing:
        raise ModelUnreadable(path, "model.pkl is missing") from missing
    finally:
        sys.path.remove(str(path / CODE))
