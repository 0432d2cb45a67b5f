"""The columns of a declared file, read as the snapshot stage will read it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from understudy.contract.declaration.data import DataSpec
from understudy.infer.errors import CannotInfer
from understudy.stages.context import Refused
from understudy.stages.read.read_source import read_columns


def source_columns(file: Path, data: DataSpec) -> list[str]:
    """Read the names of the columns; of a CSV file only the beginning is looked at.

    :raises CannotInfer: with the field and what is wrong with it, as the stage would say it.
    """
    try:
        with TemporaryDirectory(prefix="understudy-check-") as scratch:
            return read_columns(file, file.name, data, Path(scratch))
    except Refused as refused:
        raise CannotInfer(f"{refused.field}: {refused.message}") from refused
