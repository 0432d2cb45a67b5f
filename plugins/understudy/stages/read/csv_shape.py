"""Look at a CSV file before it is parsed: which delimiter, which columns, and whether every row has all of them."""

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from understudy.stages.context import Refused

SAMPLE_CHARACTERS = 1 << 18
MAX_COLUMNS = 2_000
DELIMITERS = (",", ";", "\t", "|")
NEVER_IN_TEXT = "\x1f"


class CsvShape(NamedTuple):
    """Hold what must be known to parse a file."""

    delimiter: str
    columns: tuple[str, ...]


def read_shape(path: Path, name: str, delimiter: str | None) -> CsvShape:
    """Read the header of a UTF-8 file, guessing the delimiter unless it is given.

    :raises Refused: when there is no header, a name is missing or repeated, or there are too many columns.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        return shape_of(stream.read(SAMPLE_CHARACTERS), name, delimiter)


def shape_of(sample: str, name: str, delimiter: str | None) -> CsvShape:
    """Read the header of a file's first characters, guessing the delimiter unless it is given.

    :raises Refused: when there is no header, a name is missing or repeated, or there are too many columns.
    """
    is_cut = len(sample) == SAMPLE_CHARACTERS
    sample = sample.removeprefix("\ufeff")
    if not sample.strip():
        raise Refused(f"{name} holds no text; export it again", "data.source")
    if "\n" not in sample and "\r" in sample.strip("\r"):
        raise Refused(f"{name} ends its lines with carriage returns alone; save it with line feeds", "data.source")
    delimiter = delimiter or guess_delimiter(sample)
    csv.field_size_limit(SAMPLE_CHARACTERS)
    lines = sample.lstrip("\r\n").splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = tuple(next(reader))
    except csv.Error as broken:
        raise Refused(f"{name} has no readable header line ({broken})", "data.source") from broken
    if reader.line_num == len(lines) and is_cut:
        raise Refused(
            f"{name} has no header line: its first one does not end within {SAMPLE_CHARACTERS:,} characters; name "
            "every column in the first line, and close every quote",
            "data.source",
        )
    check_columns(header, name)
    return CsvShape(delimiter, header)


def guess_delimiter(sample: str) -> str:
    """Choose the delimiter that splits most lines into the same, largest number of fields; a comma in doubt."""
    lines = [line for line in sample.splitlines()[:200] if line.strip()]
    lines = lines[:-1] if len(lines) > 1 and not sample.endswith("\n") else lines
    best, best_score = ",", 0.0
    for candidate in DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=candidate))
        except csv.Error:
            continue
        width, agreeing = widths.most_common(1)[0]
        score = (agreeing / sum(widths.values())) * (width - 1) ** 0.5
        if score > best_score:
            best, best_score = candidate, score
    return best


def check_columns(columns: tuple[str, ...], name: str) -> None:
    """Refuse a table whose columns cannot be told apart or are too many."""
    if len(columns) > MAX_COLUMNS:
        raise Refused(
            f"{name} has {len(columns):,} columns; at most {MAX_COLUMNS:,} are read. Select the useful ones "
            "first, and check the delimiter",
            "data.source",
        )
    repeated = [column for column, times in Counter(columns).items() if times > 1]
    if repeated:
        raise Refused(f"{name} has the column {repeated[0]!r} more than once; rename or remove one", "data.source")
    if any(not column.strip() for column in columns):
        place = [not column.strip() for column in columns].index(True) + 1
        raise Refused(
            f"{name} has no name for column {place} of {len(columns)}; name every column in the first line, "
            "and check the delimiter",
            "data.source",
        )


def refuse_ragged_rows(path: Path, name: str, shape: CsvShape) -> None:
    """Refuse a file with a row of more or fewer fields than the header; parsers fill short ones with nulls silently.

    Quoted parts are cut out before delimiters are counted. A quote that spans lines makes the count impossible, so the
    csv module, ten times slower, reads such a file.
    """
    import polars as pl

    lines = pl.scan_csv(
        path,
        separator=NEVER_IN_TEXT,
        quote_char=None,
        has_header=False,
        schema={"line": pl.String},
        truncate_ragged_lines=True,
    ).with_row_index("at", offset=1)
    outside = pl.col("line").str.replace_all('"[^"]*"', "")
    fields = outside.str.count_matches(shape.delimiter, literal=True) + 1
    spans_lines = outside.str.contains('"', literal=True)
    filled = pl.col("line").str.strip_chars() != ""
    odd = (
        lines.filter(filled & (spans_lines | (fields != len(shape.columns))))
        .select("at", fields=fields, spans_lines=spans_lines)
        .head(1)
        .collect(engine="streaming")
    )
    if odd.is_empty():
        return
    at, found, spans = odd.row(0)
    if spans:
        odd_row = _odd_row_by_csv(path, shape)
        if odd_row is None:
            return
        at, found = odd_row
    raise Refused(
        f"{name} is ragged: line {at:,} has {found} fields where the header has {len(shape.columns)}; "
        "repair the export, and quote texts that hold the delimiter",
        "data.source",
    )


def _odd_row_by_csv(path: Path, shape: CsvShape) -> tuple[int, int] | None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=shape.delimiter)
        for row in reader:
            if row and len(row) != len(shape.columns):
                return reader.line_num, len(row)
    return None
