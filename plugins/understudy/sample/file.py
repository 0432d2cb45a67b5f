"""Put the sample where its declaration expects it."""

import csv
import gzip
import io
from pathlib import Path

from understudy.sample.powerprice import COLUMNS, poison, simulate
from understudy.settings import PROJECT

PATH = PROJECT / "data" / "powerprice.csv.gz"


def write_sample(path: Path = PATH) -> Path:
    """Write the sample, poisoned week included; the same bytes each time on the same machine."""
    columns = simulate()
    poison(columns)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(zip(*(columns[name] for name in COLUMNS), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    with (
        draft.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
    ):
        packed.write(text.getvalue().encode("utf-8"))
    draft.replace(path)  # a reader finds the whole file or none
    return path
