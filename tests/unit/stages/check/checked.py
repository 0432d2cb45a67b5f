"""A good window of rows, and what a data check found in one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl

from understudy.contract.judgement import Judgement
from understudy.contract.reports import DataReport, Finding
from understudy.contract.words import Verdict

AS_OF = datetime(2026, 2, 1, tzinfo=timezone.utc)
ROWS = 400


def good() -> pl.DataFrame:
    row = pl.int_range(ROWS, eager=True)
    return pl.DataFrame(
        {
            "at": [AS_OF - timedelta(hours=ROWS - hour) for hour in range(ROWS)],
            "price": (row * 7919 % 1000) / 10,
            "city": ["Rome", "Oslo", "Lima", "Kyiv"] * (ROWS // 4),
            "y": ["a", "b"] * (ROWS // 2),
        }
    )


@dataclass(frozen=True)
class Checked:
    report: DataReport
    judgement: Judgement
    good: pl.DataFrame
    bad: pl.DataFrame | None
    outputs: Path

    def finding(self, check: str, column: str | None = None) -> Finding:
        (found,) = [f for f in self.report.findings if f.check == check and column in (None, f.column)]
        return found

    @property
    def failed(self) -> set[str]:
        return {r.gate for r in self.judgement.results if r.verdict is not Verdict.PASSED}


Check = Callable[..., Checked]
