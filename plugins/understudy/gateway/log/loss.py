"""What a labelled row cost each of two versions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from understudy.contract.words import MlTask
from understudy.gateway.log.frame import class_text

if TYPE_CHECKING:
    import polars as pl


def with_losses(pairs: "pl.DataFrame", task: MlTask) -> "pl.DataFrame":
    """Add ``loss`` and ``loss_mirror`` to labelled pairs; pairs whose label says nothing about the task are left out.

    The Brier score over all classes (Brier 1950, from 0 to 2) where both versions give probabilities and the order of
    their classes is known, else 0 or 1 for classes; the absolute error for numbers.
    """
    import polars as pl

    if not task.is_classification:
        numbers = pairs.with_columns(pl.col("label").cast(pl.Float64, strict=False).alias("truth")).filter(
            pl.col("truth").is_finite()
        )
        return numbers.with_columns(
            loss=(pl.col("prediction").cast(pl.Float64, strict=False) - pl.col("truth")).abs(),
            loss_mirror=(pl.col("prediction_mirror").cast(pl.Float64, strict=False) - pl.col("truth")).abs(),
        ).filter(pl.col("loss").is_finite() & pl.col("loss_mirror").is_finite())
    named = pairs.with_columns(texts(pairs, name) for name in ("label", "prediction", "prediction_mirror"))
    seen = {*named["label"], *named["prediction"], *named["prediction_mirror"]}
    brier = [_brier(named, suffix, seen) for suffix in ("", "_mirror")]
    if any(score is None for score in brier):
        return named.with_columns(
            loss=(pl.col("prediction") != pl.col("label")).cast(pl.Float64),
            loss_mirror=(pl.col("prediction_mirror") != pl.col("label")).cast(pl.Float64),
        )
    return named.with_columns(score for score in brier if score is not None)


def with_own_losses(sides: "Sequence[pl.DataFrame]", task: MlTask) -> "list[pl.DataFrame]":
    """Add ``loss`` to the labelled rows of sides that answered different requests, measured alike on all of them.

    As :func:`with_losses`: without usable probabilities on one side, 0 or 1 on all. Classes become texts.
    """
    import polars as pl

    if not task.is_classification:
        numbers = [rows.with_columns(pl.col("label").cast(pl.Float64, strict=False).alias("truth")) for rows in sides]
        return [
            rows.filter(pl.col("truth").is_finite())
            .with_columns(loss=(pl.col("prediction").cast(pl.Float64, strict=False) - pl.col("truth")).abs())
            .filter(pl.col("loss").is_finite())
            for rows in numbers
        ]
    named = [rows.with_columns(texts(rows, name) for name in ("label", "prediction")) for rows in sides]
    seen = {name for rows in named for column in ("label", "prediction") for name in rows[column]}
    brier = [_brier(rows, "", seen) if rows.height else pl.Series("loss", [], dtype=pl.Float64) for rows in named]
    if any(score is None for score in brier):
        missed = (pl.col("prediction") != pl.col("label")).cast(pl.Float64)
        return [rows.with_columns(loss=missed) for rows in named]
    return [rows.with_columns(score) for rows, score in zip(named, brier, strict=True) if score is not None]


def texts(frame: "pl.DataFrame", name: str) -> "pl.Series":
    """Write a column of classes so that those that are equal are the same text."""
    import polars as pl

    known: dict[object, str] = {}
    found = []
    for value in frame[name].to_list():
        if value is not None and value not in known:
            known[value] = class_text(value)
        found.append(None if value is None else known[value])
    return pl.Series(name, found, dtype=pl.String)


def _brier(named: "pl.DataFrame", suffix: str, seen: set[str]) -> "pl.Series | None":
    """Sum (p - y)² over the classes of each row, which is Σp² - 2p(true class) + 1."""
    import polars as pl

    probabilities = named[f"probabilities{suffix}"]
    if not named.height or probabilities.null_count():
        return None
    width = probabilities.list.len()
    order = _classes(named[f"classes{suffix}"], int(width[0]), seen)
    if order is None or width.n_unique() > 1:
        return None
    places = {name: place for place, name in enumerate(order)}
    known = named.with_columns(pl.Series("place", [places.get(label) for label in named["label"]], dtype=pl.Int64))
    given = pl.col(f"probabilities{suffix}")
    # A class that the version does not know has no probability.
    hit = pl.when(pl.col("place").is_null()).then(0.0).otherwise(given.list.get(pl.col("place").fill_null(0)))
    scores = known.select(squares=given.list.eval(pl.element() ** 2).list.sum(), hit=hit)
    found = scores["squares"] - 2 * scores["hit"] + 1
    return None if found.null_count() else found.alias(f"loss{suffix}")


def _classes(orders: "pl.Series", width: int, seen: set[str]) -> list[str] | None:
    """Give the order of the probabilities: as the answers say, else as scikit-learn sorts classes."""
    told = [list(order) for order in orders.drop_nulls().unique()]
    if told:
        return told[0] if len(told) == 1 and len(told[0]) == width else None
    if len(seen) != width:
        return None
    return sorted(seen, key=_sorting)


def _sorting(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
