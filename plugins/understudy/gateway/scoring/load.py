"""Get a version ready: verified before anything of it is read, loaded, and warmed up on rows it was trained on."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from understudy.contract.errors import UnderstudyError
from understudy.contract.stage import artefact_of
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.scoring.batch import Scoring, is_finite
from understudy.gateway.scoring.predictor import make_predictor
from understudy.gateway.scoring.refusals import RequestRefused
from understudy.gateway.scoring.respond import datatype_of
from understudy.gateway.scoring.rows import Rows, typed_rows
from understudy.gateway.scoring.table import Table
from understudy.gateway.worker import WorkerStart
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import load_model
from understudy.stages.window import Array

EXAMPLE = "input_example.json"
WAY_OUT = "Raise serving.memory in model.yaml if memory was short; otherwise train it again."


class Refusal(UnderstudyError):
    """A version cannot serve."""


class Loaded(NamedTuple):
    """Hold a version that is ready."""

    scoring: Scoring
    example: str
    output_datatype: str


def verify(folder: Path, sha256: str) -> None:
    """Compare a version's files with the digest they were registered with, before any of them is interpreted.

    :raises Refusal: where one was changed, added or removed.
    """
    try:
        found = artefact_of(folder, folder.parent).sha256 if folder.is_dir() else None
    except OSError as unreadable:
        raise Refusal(
            f"its files cannot be read ({type(unreadable).__name__}). Let the gateway's user read {folder}."
        ) from unreadable
    if found is None:
        raise Refusal(f"its files are not in {folder}. Upload them again.")
    if found != sha256:
        raise Refusal(
            f"its files in {folder} are not those that were registered: their digest is {found[:12]}… and must be "
            f"{sha256[:12]}…. Delete the folder and let it be fetched again."
        )


def load(start: WorkerStart) -> Loaded:
    """Load and warm up a version whose files are verified.

    :raises Refusal: where it cannot be loaded, or does not answer the example that was stored with it.
    """
    folder = Path(start.folder)
    try:
        scorer = load_model(folder, allow_pickle=start.allow_pickle)
    except UnderstudyError as refused:
        raise Refusal(str(refused)) from refused
    except Exception as broken:
        raise Refusal(f"it cannot be loaded ({_named(broken)}). {WAY_OUT}") from broken
    features = scorer.facts.features
    table = _stored_example(folder, features)
    try:
        rows = typed_rows(table, features)
        scoring = Scoring(start.bundle, make_predictor(scorer, rows), start.max_rows)
        datatype = datatype_of(_warmed_up(scoring, rows))
        if scorer.prepare is not None:
            # What is stored are features; what callers send, prepare makes them from, and it has no way back.
            return Loaded(scoring, "", datatype)
        example = _request(table)
        answer = scoring([Item(Wire.MLFLOW_JSON, example)])[0]
    except (Refusal, RequestRefused) as refused:
        raise Refusal(str(refused)) from refused
    except Exception as broken:
        raise Refusal(f"it raises {_named(broken)} on the example stored with it. {WAY_OUT}") from broken
    if answer.status != 200:
        raise Refusal(f"it does not answer the example stored with it ({answer.error}). Train it again.")
    return Loaded(scoring, example.decode(), datatype)


def _named(broken: Exception) -> str:
    first = (str(broken).splitlines() or [""])[0][:200]
    return f"{type(broken).__name__}{': ' + first if first else ''}"


def _stored_example(folder: Path, features: Features) -> Table:
    """Read the typed feature rows that save_model stored."""
    try:
        stored = json.loads((folder / EXAMPLE).read_text(encoding="utf-8"))
        table = Table(tuple(stored["columns"]), stored["data"])
    except (OSError, ValueError, LookupError, TypeError) as broken:
        raise Refusal(f"it has no input example to be tried with ({EXAMPLE}). Train it again.") from broken
    if set(table.columns) != set(features.names) or not table.rows:
        raise Refusal(f"its input example ({EXAMPLE}) does not have its features. Train it again.")
    return table


def _warmed_up(scoring: Scoring, rows: Rows) -> Array:
    prediction = scoring.predictor(rows)
    if prediction.answers.shape != (len(rows),) or not is_finite(prediction):
        raise Refusal("it does not answer each row of its example with a class or a finite number. Train it again.")
    return prediction.answers


def _request(table: Table) -> bytes:
    """Write rows as a caller would."""
    data: list[list[Any]] = [[_sendable(cell) for cell in row] for row in table.rows]
    return orjson.dumps({"dataframe_split": {"columns": table.columns, "data": data}})


def _sendable(cell: Any) -> Any:
    return None if isinstance(cell, float) and not np.isfinite(cell) else cell
