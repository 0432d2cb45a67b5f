"""What later windows must look like, from what this one looks like."""

import math
from typing import TYPE_CHECKING, Any

from understudy.contract.words import MlTask
from understudy.infer.columns import Roles
from understudy.infer.notes import of_columns
from understudy.stages.read.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import polars as pl

TAIL = 0.001
WIDENED, WIDENED_FOR_TAILS = 0.2, 2.0
ALLOWED_LEVELS, LEAST_OF_A_LEVEL = 20, 10
LABEL_BLOCKS = 10


def column_checks(
    table: "pl.DataFrame", target: str, task: MlTask, roles: Roles
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Declare type, missing share, range and levels of each feature and sensitive column.

    A range reaches from the 0.1 % to the 99.9 % quantile, widened by a fifth; a column with a long tail, of which that
    would cut off rows, gets twice its own width on either side. The raw minimum and maximum are never used: they are
    the values most likely to be wrong.
    """
    checks: dict[str, dict[str, Any]] = {}
    tails: list[tuple[str, str]] = []
    for column in (*roles.features, *roles.sensitive, *([target] if task is MlTask.REGRESSION else [])):
        values, kind = table[column], kind_of(table.schema[column])
        asked: dict[str, Any] = {"type": kind}
        if column != target:
            asked["max_null_share"] = _null_bound(values.null_count() / table.height)
        if kind in NUMERIC:
            asked |= _range(values)
            outside = _outside(values, asked)
            if outside:
                note = (
                    f"{column} has a long tail: {outside:,} rows lie outside of the range in checks.columns "
                    "and would be set aside. "
                    "Widen it if they are right."
                )
                tails.append((column, note))
        elif kind == "text" and (levels := _stable_levels(values)):
            asked["allowed"] = levels
        checks[column] = asked
    return checks, of_columns(tails)


def _null_bound(share: float) -> float:
    """Allow twice the share that was seen and at least one row in a hundred more."""
    return min(1.0, round(max(2 * share, share + 0.01), 3))


def _range(values: "pl.Series") -> dict[str, float]:
    import polars as pl

    numbers = values.drop_nulls().cast(pl.Float64)
    numbers = numbers.filter(numbers.is_finite())
    low, high = numbers.quantile(TAIL, "nearest"), numbers.quantile(1 - TAIL, "nearest")
    if low is None or high is None:
        return {}
    width = (high - low) or max(abs(high), 1.0)
    for widened in (WIDENED, WIDENED_FOR_TAILS):
        least, most = low - widened * width, high + widened * width
        if not _outside(values, {"min": least, "max": most}):
            break
    lowest = 0.0 if least < 0 and not (numbers < 0).any() else _rounded(least, math.floor)
    if kind_of(values.dtype) == "integer":
        return {"min": float(math.floor(lowest)), "max": float(math.ceil(_rounded(most, math.ceil)))}
    return {"min": lowest, "max": _rounded(most, math.ceil)}


def _outside(values: "pl.Series", bounds: dict[str, Any]) -> int:
    if "min" not in bounds:
        return 0
    return int(((values < bounds["min"]) | (values > bounds["max"])).sum() or 0)


def _rounded(value: float, direction: Any) -> float:
    """Round away from the data to three significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{direction(value / step) * step:.6g}")


def _stable_levels(values: "pl.Series") -> list[str]:
    """List the levels where they are few, none is rare, and both halves of the rows hold the same; else nothing."""
    filled = values.drop_nulls()
    counts = filled.alias("level").value_counts()
    if not 0 < counts.height <= ALLOWED_LEVELS or (counts["count"] < LEAST_OF_A_LEVEL).any():
        return []
    half = len(filled) // 2
    same = set(filled[:half].unique()) == set(filled[half:].unique())
    return sorted(counts["level"]) if same else []


def label_shares(table: "pl.DataFrame", target: str) -> dict[str, dict[str, float]]:
    """Bound each class's share by half the smallest and one and a half times the largest of ten blocks of rows.

    A class that a block has none of, and another block nothing else, may have any share.
    """
    import polars as pl

    labels = table[target].drop_nulls().cast(pl.String)
    size = max(1, len(labels) // LABEL_BLOCKS)
    blocks = [labels[first : first + size] for first in range(0, size * LABEL_BLOCKS, size)]
    bounds = {}
    for label in sorted(labels.unique()):
        shares = [float((block == label).mean() or 0) for block in blocks if len(block)]
        bound = {"min": round(min(shares) / 2, 3), "max": min(1.0, round(max(shares) * 1.5 + 0.001, 3))}
        if bound != {"min": 0.0, "max": 1.0}:
            bounds[label] = bound
    return bounds


def batch_checks(table: "pl.DataFrame", target: str, task: MlTask, outside: list[str]) -> dict[str, Any]:
    """Bound size, missing labels, repeated rows and contradicting labels, with room above what was seen."""
    rows = table.height
    asked: dict[str, Any] = {
        "min_rows": max(50, min(100, rows // 2)) if rows < 1000 else int(float(f"{rows / 10:.1g}"))
    }
    unlabelled = table[target].null_count() / rows
    if unlabelled:
        asked["max_label_null_share"] = _null_bound(unlabelled)
    repeated = (rows - table.hash_rows().n_unique()) / rows
    if repeated > 0.005:
        asked["max_duplicate_share"] = round(min(1.0, 2 * repeated), 3)
    if task.is_classification:
        conflicts = _conflict_share(table, target, outside)
        if conflicts > 0.02:
            asked["max_conflict_share"] = round(min(1.0, conflicts * 1.5 + 0.02), 3)
    return asked


def _conflict_share(table: "pl.DataFrame", target: str, outside: list[str]) -> float:
    import polars as pl

    features = [column for column in table.columns if column not in (target, *outside)]
    if not features:
        return 0.0
    votes = (
        pl.DataFrame({"row": table.select(features).hash_rows(), "label": table[target]}).group_by("row", "label").len()
    )
    majority = votes.group_by("row").agg(pl.col("len").max())["len"].sum()
    return float((table.height - majority) / table.height)
