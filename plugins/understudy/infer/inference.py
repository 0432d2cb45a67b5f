"""From a data file to a complete, commented ``model.yaml``."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from understudy.contract.load import parse_spec
from understudy.contract.suggest import nearest
from understudy.contract.words import MlTask
from understudy.infer.baseline import TOO_GOOD, Baseline, measure_baseline
from understudy.infer.column_checks import batch_checks, column_checks, label_shares
from understudy.infer.columns import Roles, sort_columns
from understudy.infer.division import about_division
from understudy.infer.errors import CannotInfer
from understudy.infer.leaks import discard_leaks
from understudy.infer.notes import of_columns
from understudy.infer.reading import Reading, read
from understudy.infer.time_column import Dated, date_rows
from understudy.infer.write_yaml import Draft, write_yaml
from understudy.infer.written_numbers import number_with_unit
from understudy.settings import PROJECT
from understudy.stages.read.column_kind import kind_of

if TYPE_CHECKING:
    import polars as pl

MAX_CLASSES, MAX_NUMERIC_CLASSES = 50, 20
RARE_CLASS_ROWS = 50
SLICE_LEVELS, SLICE_SHARE, MAX_SLICES = 8, 0.05, 2


@dataclass(frozen=True)
class Inference:
    """Hold a declaration as a dict and as commented text, and what was noticed on the way, in plain sentences."""

    spec: dict[str, Any]
    notes: tuple[str, ...]
    yaml: str


def infer_spec(data: Path, target: str, time: str | None = None, name: str | None = None) -> Inference:
    """Infer everything that a declaration needs from a CSV or Parquet file.

    :param time: The column that dates the rows; in its absence, one that is named like a time and holds times.
    :param name: The model's name; the file's when absent.
    :raises CannotInfer: when the file cannot be read, a column is not there, or nothing can be learnt.
    """
    reading = read(data, target)
    _check_names(reading.table, target, time, data.name)
    dated = date_rows(reading.table, time, target)
    task, about_task = _task(dated.table[target])
    roles = sort_columns(dated.table, target, dated.time)
    notes = [
        *reading.notes,
        *dated.notes,
        *about_task,
        *_about_roles(roles),
        *discard_leaks(dated.table, target, task, roles),
    ]
    checks, about_checks = column_checks(dated.table, target, task, roles)
    notes += about_checks
    baseline = measure_baseline(dated.table, target, roles.features, task, is_dated=dated.time is not None)
    notes += _about_baseline(baseline, is_dated=dated.time is not None)
    draft = Draft(
        model=_model_name(name or data.name),
        task=task,
        data=_data_section(data, target, reading, dated, roles),
        checks={
            **batch_checks(
                dated.table,
                target,
                task,
                [*roles.drop, *roles.pii, *roles.sensitive, *([dated.time] if dated.time else [])],
            ),
            "label_shares": label_shares(dated.table, target) if task.is_classification else {},
            "columns": checks,
        },
        slices=_slices(dated.table, roles),
        roles=roles,
        baseline=baseline,
        notes=tuple(notes),
        rows=dated.table.height,
        source_name=data.name,
    )
    undividable = about_division(dated.table, parse_spec(write_yaml(draft), _path_of(draft)))
    draft = replace(draft, notes=(*draft.notes, *undividable))
    text = write_yaml(draft)
    parse_spec(text, _path_of(draft))
    return Inference(spec=yaml.safe_load(text), notes=draft.notes, yaml=text)


def _path_of(draft: Draft) -> Path:
    return Path(f"{draft.model}/model.yaml")


def source_of(data: Path) -> str:
    """Write a file's path as a declaration does: below the project where it lies there."""
    path = data.resolve()
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)


def _check_names(table: "pl.DataFrame", target: str, time: str | None, name: str) -> None:
    for option, column in (("--target", target), ("--time", time)):
        if column is not None and column not in table.columns:
            raise CannotInfer(f"{option} {column}: {name} has no such column{nearest(column, table.columns)}")
    if target == time:
        raise CannotInfer(f"--target and --time are both {target}; they must be different columns")


def _task(values: "pl.Series") -> tuple[MlTask, list[str]]:
    filled, kind = values.drop_nulls(), kind_of(values.dtype)
    levels = filled.n_unique()
    if levels < 2:
        raise CannotInfer(
            f"--target {values.name} has {'one value only' if levels else 'no values'}; nothing can be learnt from that"
        )
    notes = (
        [f"{values.null_count():,} rows have no {values.name}; they are left out of training."]
        if values.null_count()
        else []
    )
    is_whole = kind == "integer" or (kind == "number" and bool((filled == filled.round()).all()))
    if (kind == "number" and not is_whole) or (is_whole and levels > MAX_NUMERIC_CLASSES):
        return MlTask.REGRESSION, notes
    example = number_with_unit(values)
    if example:
        raise CannotInfer(
            f"--target {values.name} writes numbers with a unit ({example}), which are read as texts; export them "
            "without it"
        )
    if kind == "time" or levels > MAX_CLASSES:
        raise CannotInfer(
            f"--target {values.name} holds {levels:,} different {'times' if kind == 'time' else 'texts'}; a "
            "target is a number, or at "
            f"most {MAX_CLASSES} classes"
        )
    if is_whole and levels > 2:
        notes.append(
            f"{values.name} has {levels} whole numbers, which are taken for classes. If they are amounts, "
            "write task: regression."
        )
    counts = filled.alias("label").value_counts().sort("count")
    rare, count = counts.row(0)
    if count < RARE_CLASS_ROWS:
        notes.append(
            f"The class {rare} of {values.name} has {count:,} rows only; what the model says about it will be a guess."
        )
    return (MlTask.BINARY if levels == 2 else MlTask.MULTICLASS), notes


def _about_roles(roles: Roles) -> list[str]:
    dropped: dict[str, list[tuple[str, str]]] = {}
    for column in roles.drop:
        note = f"{column} {roles.why[column]}. It is in data.drop."
        dropped.setdefault(_kind_of_reason(roles.why[column]), []).append((column, note))
    notes = [note for told in dropped.values() for note in of_columns(told)]
    notes += of_columns((column, f"{column} {roles.why[column]} (data.classes.pii).") for column in roles.pii)
    notes += of_columns(
        (column, f"{column} is {roles.why[column]} (data.classes.sensitive, evaluate.slices).")
        for column in roles.sensitive
    )
    return notes


def _kind_of_reason(why: str) -> str:
    """Leave out what a reason says of one column alone, which stands in brackets or after a colon."""
    return re.split(r"[(:]", why, maxsplit=1)[0]


def _about_baseline(baseline: Baseline | None, *, is_dated: bool) -> list[str]:
    if baseline is None:
        return ["No quick model could be measured, so the gate has no bound yet. Set one after the first run."]
    how = (
        "trained on the older four fifths and tested on the newest rows"
        if is_dated
        else "trained on four fifths and tested on the rest"
    )
    measured = (
        f"{baseline.metric} {baseline.small:.3g} where a model that ignores the features reaches {baseline.dummy:.3g}"
    )
    kind = "linear" if baseline.is_simple_enough else "boosted"
    notes = [f"A small {kind} model, {how} of a sample, reaches {measured}."]
    if baseline.learns and baseline.is_simple_enough:
        notes.append(
            f"Gradient boosting reaches {baseline.boosted.score:.3g}, which is not worth its complexity: "
            "train.estimator is the linear model."
        )
    if not baseline.learns:
        found = (
            "It is not certain that the features help: the gain lies within its sampling error."
            if baseline.lead > 0
            else "The features did not help that small model at all."
        )
        notes.append(
            f"{found} The gate has no bound yet; expect the first run to be refused, and look for better columns."
        )
    if baseline.small > TOO_GOOD.get(baseline.metric, float("inf")):
        notes.append("That is suspiciously good: look for a column that is only known afterwards.")
    return notes


def _data_section(data: Path, target: str, reading: Reading, dated: Dated, roles: Roles) -> dict[str, Any]:
    section: dict[str, Any] = {
        "source": source_of(data),
        "target": target,
    }
    optional = {
        "time": dated.time,
        "time_format": dated.time_format,
        "drop": roles.drop,
        "delimiter": reading.delimiter,
        "encoding": reading.encoding if reading.encoding != "utf-8" else None,
        "decimal": reading.numerals.decimal if reading.numerals.decimal != "." else None,
        "thousands": reading.numerals.thousands,
        "nulls": list(reading.nulls) if reading.nulls != ("",) else None,
        "classes": {kind: columns for kind, columns in (("pii", roles.pii), ("sensitive", roles.sensitive)) if columns},
    }
    return section | {key: value for key, value in optional.items() if value}


def _slices(table: "pl.DataFrame", roles: Roles) -> list[str]:
    """Suggest the sensitive columns, and the few categories whose every level has enough rows to be judged."""
    found = []
    for column in roles.features:
        if kind_of(table.schema[column]) in ("text", "boolean"):
            counts = table[column].drop_nulls().alias("level").value_counts()["count"]
            if 2 <= len(counts) <= SLICE_LEVELS and not (counts < SLICE_SHARE * table.height).any():
                found.append(column)
    few_levels = [column for column in roles.sensitive if 2 <= table[column].n_unique() <= SLICE_LEVELS * 2]
    return [*few_levels, *found[:MAX_SLICES]]


def _model_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", text.lower().split(".")[0]).strip("_")
    name = name if name[:1].isalpha() else f"model_{name}".strip("_")
    return name[:63]
