"""Read one source file into a table."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.declaration.data import DataSpec
from understudy.contract.suggest import nearest
from understudy.stages.context import Refused
from understudy.stages.read.csv_shape import (
    SAMPLE_CHARACTERS,
    CsvShape,
    check_columns,
    read_shape,
    refuse_ragged_rows,
    shape_of,
)
from understudy.stages.read.decimals import without_decimals
from understudy.stages.read.numerals import Numerals, typed, without_nan
from understudy.stages.read.plain_text import as_utf8, first_text, unpack

if TYPE_CHECKING:
    import polars as pl

INFERENCE_ROWS = 10_000


def read_file(
    path: Path, name: str, data: DataSpec, scratch: Path, texts: frozenset[str] = frozenset()
) -> "pl.DataFrame":
    """Read a CSV or Parquet file, plain or gzip.

    :param name: What to call the file in messages; its ending tells the format unless ``data.format`` does.
    :param scratch: A folder for unpacked copies.
    :param texts: Columns of a CSV file to keep as text even if they look like numbers.
    :raises Refused: naming the field and the place, for everything that can be wrong with a file.
    """
    plain = unpack(path, name, scratch)
    if (data.format or format_of(name)) == "parquet":
        return without_null_texts(without_decimals(_read_parquet(plain, name)), data.nulls)
    utf8 = as_utf8(plain, name, data.encoding, scratch)
    shape = read_shape(utf8, name, data.delimiter)
    numerals = Numerals(data.decimal, data.thousands)
    # Read as it stands, 1.234 would become a number of its own, whatever the declaration says that it means.
    as_text = texts if numerals.is_plain else frozenset(shape.columns)
    table = _read_csv(utf8, name, shape, data.nulls, as_text)
    if table[shape.columns[-1]].null_count():
        refuse_ragged_rows(utf8, name, shape)
        table = _without_blank_lines(table)
    # The reader leaves texts where numbers are padded or "nan" stands among them.
    return without_nan(typed(table, numerals, texts))


def read_columns(path: Path, name: str, data: DataSpec, scratch: Path) -> list[str]:
    """Read the names of the columns as ``read_file`` will, without reading the rows.

    :raises Refused: for everything that can be wrong with the beginning of a file.
    """
    if (data.format or format_of(name)) == "parquet":
        return _open_parquet(unpack(path, name, scratch), name).collect_schema().names()
    return list(shape_of(first_text(path, name, data.encoding, SAMPLE_CHARACTERS), name, data.delimiter).columns)


def format_of(name: str) -> str:
    """Tell csv from parquet by a file's ending; csv where it says nothing."""
    return "parquet" if name.lower().removesuffix(".gz").endswith((".parquet", ".pq")) else "csv"


def without_null_texts(table: "pl.DataFrame", nulls: tuple[str, ...]) -> "pl.DataFrame":
    """Replace the texts that mean missing, as the CSV reader does by itself."""
    import polars as pl

    return (
        table.with_columns(pl.when(~pl.col(pl.String).is_in(list(nulls))).then(pl.col(pl.String)).name.keep())
        if nulls
        else table
    )


def unknown_column(field: str, column: str, columns: list[str], name: str) -> Refused:
    """Say that a declared column does not exist, with the nearest name that does."""
    return Refused(f"{field}: {column!r} is not a column of {name}{nearest(column, columns)}", field)


def _read_parquet(path: Path, name: str) -> "pl.DataFrame":
    import polars as pl

    try:
        return _open_parquet(path, name).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as unreadable:
        raise _no_parquet(name, unreadable) from unreadable


def _open_parquet(path: Path, name: str) -> "pl.LazyFrame":
    import polars as pl

    try:
        lazy = pl.scan_parquet(path)
        check_columns(tuple(lazy.collect_schema().names()), name)
    except (pl.exceptions.PolarsError, OSError) as unreadable:
        raise _no_parquet(name, unreadable) from unreadable
    return lazy


def _no_parquet(name: str, unreadable: Exception) -> Refused:
    return Refused(
        f"{name} is not a readable Parquet file ({_first_line(unreadable)}); write it again, or set data.format: csv",
        "data.source",
    )


def _read_csv(path: Path, name: str, shape: CsvShape, nulls: tuple[str, ...], texts: frozenset[str]) -> "pl.DataFrame":
    import polars as pl

    def parse(inference_rows: int | None) -> "pl.DataFrame":
        return pl.scan_csv(
            path,
            separator=shape.delimiter,
            # It leaves doubled quotes in a name as they are.
            new_columns=list(shape.columns),
            infer_schema_length=inference_rows,
            null_values=list(nulls),
            empty_string_is_null="" in nulls,
            schema_overrides={c: pl.String for c in shape.columns if c in texts},
        ).collect(engine="streaming")

    try:
        table = parse(INFERENCE_ROWS)
    except pl.exceptions.NoDataError as empty:
        raise Refused(f"{name} holds no rows; export it again", "data.source") from empty
    except pl.exceptions.PolarsError as first:
        if "more fields" in str(first):
            refuse_ragged_rows(path, name, shape)
        try:
            table = parse(None)  # a column changes its type late in the file, so only all rows tell it
        except pl.exceptions.PolarsError as second:
            raise Refused(
                f"{name} cannot be parsed as CSV with the delimiter {shape.delimiter!r} ({_first_line(second)}); "
                "is a quote left open?",
                "data.source",
            ) from second
    wide = [column for column, kind in table.schema.items() if kind in (pl.Int128, pl.UInt128)]
    return table.with_columns(pl.col(wide).cast(pl.String)) if wide else table


def _without_blank_lines(table: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    return table.filter(~pl.all_horizontal(pl.all().is_null()))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
