"""Evidently's report on the samples, with every type, method and threshold stated by us."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl

from understudy.contract.words import DistanceMethod
from understudy.stages.drift.baseline import Usual
from understudy.stages.drift.scale import MIN_VALUES

EVIDENTLY_COLUMNS = 100  # each is a plot of a quarter of a second and 40 kB; more are in the table only
RANDOM_ID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"
)
UNREACHABLE = 1e9  # a column without a threshold of its own never counts as moved


def write_evidently(
    path: Path, reference: pl.DataFrame, current: pl.DataFrame, columns: Sequence[Usual], drift_share: float
) -> Path | None:
    """Write Evidently's page; None where there is no column that both samples have values of.

    The values are those that were compared: tails cut, rare and new levels grouped, infinity missing. Its size does
    not depend on the number of rows.
    """
    shown = [known for known in columns if _is_comparable(known, reference, current)][:EVIDENTLY_COLUMNS]
    if not shown:
        return None
    snapshot(reference, current, shown, drift_share).save_html(str(path))
    path.write_text(_with_steady_ids(path.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def _with_steady_ids(page: str) -> str:
    """Replace random ids by their order of appearance, so that the same samples give the same bytes."""
    known: dict[str, str] = {}

    def steady(found: re.Match[str]) -> str:
        plain = found[0].replace("-", "")
        number = known.setdefault(plain, f"{len(known) + 1:032x}")
        return number if plain == found[0] else str(UUID(number))

    return RANDOM_ID.sub(steady, page)


def snapshot(reference: pl.DataFrame, current: pl.DataFrame, columns: Sequence[Usual], drift_share: float) -> Any:
    """Run Evidently on samples of comparable columns."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # read while it is imported: it must not call home
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies' deprecations
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        numbers = [k.scale.column for k in columns if k.scale.method is DistanceMethod.WASSERSTEIN]
        levels = [k.scale.column for k in columns if k.scale.method is DistanceMethod.JENSEN_SHANNON]
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=levels)
        preset = DataDriftPreset(
            columns=[*numbers, *levels],
            num_method=DistanceMethod.WASSERSTEIN.value,
            cat_method=DistanceMethod.JENSEN_SHANNON.value,
            per_column_threshold={k.scale.column: UNREACHABLE if k.threshold is None else k.threshold for k in columns},
            drift_share=drift_share,
        )
        sides = [
            Dataset.from_pandas(
                rows.select([k.scale.compared(rows.schema) for k in columns]).to_pandas(), data_definition=definition
            )
            for rows in (reference, current)
        ]
        return Report([preset], include_tests=True).run(current_data=sides[1], reference_data=sides[0])


def _is_comparable(known: Usual, reference: pl.DataFrame, current: pl.DataFrame) -> bool:
    column = known.scale.column
    if column not in current.columns or column not in reference.columns:
        return False
    return min(len(known.sampled), len(known.scale.values(current))) >= MIN_VALUES
