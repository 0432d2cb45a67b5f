"""What a declaration asks of single cells, as casts and as pandera checks."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.data import ColumnCheck
from understudy.stages.read.column_kind import KIND_WORDS, NUMERIC, Kind, kind_of
from understudy.stages.read.parse_time import ISO_FORMATS

if TYPE_CHECKING:
    import pandera.polars as pa
    import polars as pl

TRUE_TEXTS, FALSE_TEXTS = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
SHOWN_ALLOWED = 8


def wanted_kind(check: ColumnCheck) -> Kind | None:
    """Name the kind of values that a check asks for: the declared one, or numbers where there are bounds."""
    return check.type or ("number" if check.min is not None or check.max is not None else None)


def fits(kind: str, wanted: str) -> bool:
    """Tell whether values of a kind are what is wanted, as they are."""
    return kind in {wanted, "nothing"} or (wanted == "number" and kind == "integer")


def casts_of(present: Mapping[str, ColumnCheck], schema: "pl.Schema") -> "dict[str, pl.Expr]":
    """Say how columns become what their checks want; what does not parse becomes null."""
    import polars as pl

    casts: dict[str, pl.Expr] = {}
    for column, check in present.items():
        kind, wanted, values = kind_of(schema[column]), wanted_kind(check), pl.col(column)
        if kind == "text" and wanted in NUMERIC:
            casts[column] = values.str.strip_chars().cast(pl.Int64 if wanted == "integer" else pl.Float64, strict=False)
        elif kind == "number" and wanted == "integer":
            casts[column] = pl.when(values == values.round()).then(values).cast(pl.Int64, strict=False)
        elif kind in ("text", "integer") and wanted == "boolean":
            texts = values.cast(pl.String).str.strip_chars().str.to_lowercase()
            casts[column] = (
                pl.when(texts.is_in(TRUE_TEXTS))
                .then(statement=True)
                .when(texts.is_in(FALSE_TEXTS))
                .then(statement=False)
            )
        elif kind == "text" and wanted == "time":
            texts = values.str.strip_chars()
            casts[column] = pl.coalesce(
                texts.str.to_datetime(f, strict=False, time_unit="us", time_zone="UTC") for f in ISO_FORMATS
            )
    return casts


def questions(check: ColumnCheck) -> Iterator[tuple[str, str]]:
    """Name each question about the cells of a column, and what a good cell is."""
    if check.type is not None:
        yield "type", KIND_WORDS[check.type]
    if check.max_null_share == 0:
        yield "nulls", "filled"
    if check.min is not None or check.max is not None:
        yield "range", _range(check)
    if check.allowed is not None:
        more = f" and {len(check.allowed) - SHOWN_ALLOWED} more" if len(check.allowed) > SHOWN_ALLOWED else ""
        yield "allowed", f"one of {', '.join(map(str, check.allowed[:SHOWN_ALLOWED]))}{more}"
    if check.pattern is not None:
        yield "pattern", f"of the form {check.pattern}"


def _range(check: ColumnCheck) -> str:
    if check.min is not None and check.max is not None:
        return f"between {check.min:g} and {check.max:g}"
    return f"at least {check.min:g}" if check.min is not None else f"at most {check.max:g}"


def pandera_checks(check: ColumnCheck, kind: str) -> "list[pa.Check]":
    """Translate what is asked of a column's values; each check's error is the name of its question."""
    import pandera.polars as pa

    checks = []
    if check.min is not None and check.max is not None:
        checks.append(pa.Check.in_range(check.min, check.max, error="range"))
    elif check.min is not None:
        checks.append(pa.Check.ge(check.min, error="range"))
    elif check.max is not None:
        checks.append(pa.Check.le(check.max, error="range"))
    if check.allowed is not None:
        checks.append(pa.Check(_member(_in_kind(check.allowed, kind), kind), error="allowed"))
    if check.pattern is not None:
        checks.append(pa.Check(_matcher(check.pattern), error="pattern"))
    return checks


def _in_kind(allowed: tuple[str | int | float | bool, ...], kind: str) -> list[Any]:
    """Read allowed values in the column's kind; YAML turns a bare yes or no into a truth value, texts mean the word."""
    if kind == "boolean":
        return [value if isinstance(value, bool) else str(value).lower() in TRUE_TEXTS for value in allowed]
    if kind in NUMERIC:
        numbers = [value for value in allowed if not isinstance(value, str)] + [
            _number(value) for value in allowed if isinstance(value, str)
        ]
        return [
            int(value) if kind == "integer" else float(value)
            for value in numbers
            if value is not None and (kind == "number" or value == int(value))
        ]
    words: list[str] = []
    for value in allowed:
        meant = (TRUE_TEXTS if value else FALSE_TEXTS)[:3] if isinstance(value, bool) else (str(value),)
        words += [
            case
            for word in meant
            for case in ((word, word.title(), word.upper()) if isinstance(value, bool) else (word,))
        ]
    return words


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _member(allowed: list[Any], kind: str) -> Any:
    import polars as pl

    wide = {"integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}.get(kind, pl.String)

    def is_member(data: Any) -> "pl.LazyFrame":
        return data.lazyframe.select(pl.col(data.key).cast(wide).is_in(allowed))  # type: ignore[no-any-return]

    return is_member


def _matcher(pattern: str) -> Any:
    """Match whole texts; what Rust's engine cannot do (look-around, back-references), Python does, once a level."""
    import polars as pl

    whole = rf"\A(?:{pattern})\z"

    def by_rust(data: Any) -> "pl.LazyFrame":
        return data.lazyframe.select(pl.col(data.key).cast(pl.String).str.contains(whole))  # type: ignore[no-any-return]

    def by_python(data: Any) -> "pl.LazyFrame":
        levels = data.lazyframe.select(pl.col(data.key).cast(pl.String).unique()).collect()[data.key].drop_nulls()
        good = [level for level in levels if re.fullmatch(pattern, level)]
        return data.lazyframe.select(pl.col(data.key).cast(pl.String).is_in(good))  # type: ignore[no-any-return]

    try:
        pl.select(pl.lit("").str.contains(whole))
    except pl.exceptions.ComputeError:
        return by_python
    return by_rust
