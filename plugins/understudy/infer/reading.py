"""Read a file that nobody has described yet."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from understudy.contract.declaration.data import DataSpec
from understudy.infer.disguised_nulls import disguised_nulls
from understudy.infer.errors import CannotInfer
from understudy.infer.notes import of_columns
from understudy.infer.written_numbers import (
    about_numerals,
    about_texts_among_numbers,
    about_units,
    likely_numerals,
    loses_numbers,
)
from understudy.stages.context import Refused
from understudy.stages.read.csv_shape import read_shape
from understudy.stages.read.numerals import Numerals
from understudy.stages.read.plain_text import as_utf8, unpack
from understudy.stages.read.read_source import format_of, read_file

if TYPE_CHECKING:
    import polars as pl

DELIMITER_NAMES = {";": "semicolons", "\t": "tabs", "|": "bars"}
LEADING_ZERO = r"^\s*[+-]?0\d"
LATER_ENCODINGS = ("utf-16", "cp1252", "latin-1")  # the last one fits any bytes


@dataclass(frozen=True)
class Reading:
    """Hold a file's rows, how it must be read, and what was noticed."""

    table: "pl.DataFrame"
    format: str
    delimiter: str | None
    encoding: str
    numerals: Numerals
    nulls: tuple[str, ...]
    notes: tuple[str, ...]


def read(path: Path, target: str) -> Reading:
    """Read a CSV or Parquet file, plain or gzip; find delimiter, encoding and texts that mean missing.

    :raises CannotInfer: in one sentence, for whatever the snapshot stage would refuse.
    """
    if not path.is_file():
        raise CannotInfer(f"{path} is not a file; give a CSV or Parquet file, plain or .gz")
    try:
        with TemporaryDirectory(prefix="understudy-init-") as scratch:
            return _read(path, target, Path(scratch))
    except Refused as refused:
        raise CannotInfer(refused.message) from refused


def _read(path: Path, target: str, scratch: Path) -> Reading:
    notes, delimiter, encoding = [], None, "utf-8"
    kind = format_of(path.name)
    if path.name.endswith(".gz"):
        notes.append("The file is compressed with gzip; it is read as it is.")
    if kind == "csv":
        plain = unpack(path, path.name, scratch)
        encoding, text = _decode(plain, path.name, scratch)
        if encoding != "utf-8":
            notes.append(
                f"The text is not UTF-8; it fits {encoding}. Look at a few names with accents after the first run."
            )
        found = read_shape(text, path.name, None).delimiter
        if found != ",":
            delimiter = found
            notes.append(f"The fields are separated by {DELIMITER_NAMES[found]}, not commas.")
    spec = DataSpec(source=path.name, target=target, encoding=encoding, delimiter=delimiter)
    table = read_file(path, path.name, spec, scratch)
    if table.height < 2:
        raise CannotInfer(
            f"{path.name} holds {table.height} row{'s' if table.height == 0 else ''}; nothing can be learnt from it"
        )
    as_it_stands, numerals = table, Numerals()
    for way in likely_numerals(table, delimiter) if kind == "csv" else ():
        other = spec.model_copy(update=way._asdict())
        reading = read_file(path, path.name, other, scratch)
        if not loses_numbers(table, reading):
            spec, table, numerals = other, reading, way
            break
    nulls, about_nulls = disguised_nulls(table, target, numerals.decimal)
    if nulls:
        spec = spec.model_copy(update={"nulls": ("", *nulls)})
        table = read_file(path, path.name, spec, scratch)
    codes = _codes(path, spec, scratch, table, target) if kind == "csv" else {}
    table = table.with_columns(codes.values())
    notes += _about_codes(codes)
    notes += [*about_numerals(as_it_stands, table, numerals), *about_units(table)]
    notes += about_texts_among_numbers(table.drop(codes), numerals)
    return Reading(table, kind, delimiter, encoding, numerals, spec.nulls, (*notes, *about_nulls))


def _codes(path: Path, spec: DataSpec, scratch: Path, table: "pl.DataFrame", target: str) -> "dict[str, pl.Series]":
    """Read the columns again in which numbers begin with zeros that say something, as in codes of places."""
    whole = frozenset(c for c, kind in table.schema.items() if kind.is_integer() and c not in {target, spec.time})
    if not whole:
        return {}
    texts = read_file(path, path.name, spec, scratch, whole)
    return {c: texts[c] for c in table.columns if c in whole and texts[c].str.contains(LEADING_ZERO).any()}


def _about_codes(codes: "dict[str, pl.Series]") -> list[str]:
    examples = {c: values.filter(values.str.contains(LEADING_ZERO))[0].strip() for c, values in codes.items()}
    return of_columns(
        (
            column,
            f"{column} has numbers that begin with a zero ({example}), so they are codes and stay texts; "
            "checks.columns says so.",
        )
        for column, example in examples.items()
    )


def _decode(plain: Path, name: str, scratch: Path) -> tuple[str, Path]:
    try:
        return "utf-8", as_utf8(plain, name, "utf-8", scratch)
    except Refused as refused:
        if refused.field != "data.encoding":
            raise
    with plain.open("rb") as stream:
        has_mark = stream.read(2) in {b"\xff\xfe", b"\xfe\xff"}
    for encoding in LATER_ENCODINGS[0 if has_mark else 1 :]:
        try:
            return encoding, as_utf8(plain, name, encoding, scratch)
        except Refused:
            continue
    raise CannotInfer(f"{name} is text in no known encoding; save it as UTF-8")
