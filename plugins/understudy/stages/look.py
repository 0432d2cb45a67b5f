"""What both stages of a look are given: who is looked at, the rows it was asked, and its reference window."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import read_moment
from understudy.contract.reports import TrainingReport
from understudy.contract.suggest import nearest
from understudy.contract.words import Watched
from understudy.stages.context import Refused, StageContext
from understudy.stages.live_rows import LiveRows, in_utc, live_rows
from understudy.stages.model.model_files import ModelUnreadable, PickleRefused, load_model
from understudy.stages.model.scorer import Scorer

CURRENT, REFERENCE, SOURCE, CHAMPION = "current.parquet", "reference.parquet", "source.parquet", "champion"
TRAINING = "training.json"


@dataclass(frozen=True)
class Look:
    """Read a look's inputs once, lazily where they are tables.

    ``params``: ``watched``, ``champion_version``, ``reference_data``, and the window: ``start`` and ``end``.
    """

    context: StageContext
    spec: ModelSpec

    @property
    def monitor(self) -> MonitorSpec:
        """The section that says how the champion is watched; its defaults where there is none."""
        return self.spec.monitor or MonitorSpec()

    @property
    def reference_data(self) -> str:
        """The data version of the reference window."""
        return str(self.context.request.params.get("reference_data") or "")

    @cached_property
    def champion(self) -> Scorer:
        """The champion itself."""
        try:
            return load_model(self._input(CHAMPION), allow_pickle=self.spec.train.allow_pickle)
        except PickleRefused as refused:
            raise Refused(str(refused), "train.allow_pickle") from refused
        except ModelUnreadable as unreadable:
            raise Refused(str(unreadable), CHAMPION) from unreadable

    @property
    def rows(self) -> LiveRows:
        """The rows of the window that this champion answered."""
        return self._collected.between(self._moment("start"), self._moment("end"))

    @cached_property
    def matured(self) -> LiveRows:
        """The rows of the last window whose labels are final: what comes sooner says more of some rows than of others.

        Of the source's rows only those that are newer than the reference, which the champion was made from.
        """
        delay, start, end = self.spec.data.label_delay, self._moment("start"), self._moment("end")
        rows = self._collected.between(start and start - delay, end and end - delay)
        time = self.spec.data.time
        if time is None or self._watched is not Watched.DATA:
            return rows
        newest = self.reference.select(pl.col(time).max()).collect(engine="streaming").item()
        return replace(rows, table=rows.table.filter(pl.col(time) > newest))

    @cached_property
    def _collected(self) -> LiveRows:
        version = self.context.request.params.get("champion_version")
        number = int(version) if isinstance(version, (int, str)) and str(version).isdigit() else None
        return live_rows(self._input(CURRENT), self.spec, self._watched, number, self.context.request.as_of)

    @property
    def _watched(self) -> Watched:
        return Watched(str(self.context.request.params.get("watched") or Watched.DATA.value))

    def _moment(self, name: str) -> datetime | None:
        return read_moment(self.context.request.params.get(name))

    @cached_property
    def reference(self) -> pl.LazyFrame:
        """The champion's reference window, times in UTC.

        :raises Refused: where it is gone, or is not what the declaration says.
        """
        try:
            table = pl.scan_parquet(self._input(REFERENCE))
            schema = table.collect_schema()
        except (OSError, pl.exceptions.PolarsError) as gone:
            raise Refused(f"The champion's reference window cannot be read: {gone}", REFERENCE) from gone
        for column in filter(None, (self.spec.data.time, self.spec.data.target)):
            if column not in schema:
                raise Refused(
                    f"The champion's reference window has no column {column!r}{nearest(column, schema.names())}; was "
                    "the declaration changed since it was trained? Retrain it, or change that back",
                    REFERENCE,
                )
        return in_utc(table, self.spec.data.time) if self.spec.data.time else table

    @cached_property
    def source(self) -> pl.LazyFrame | None:
        """The source's rows of the same time, where they were collected beside requests."""
        path = self.context.inputs.get(SOURCE)
        return None if path is None else pl.scan_parquet(path)

    @cached_property
    def importance(self) -> dict[str, float]:
        """The importance of each feature as the champion's training measured it; empty where nobody did."""
        path = self.context.inputs.get(TRAINING)
        if path is None:
            return {}
        report = TrainingReport.model_validate(json.loads(path.read_text(encoding="utf-8")))
        return {found.feature: found.mean for found in report.importance if found.mean is not None}

    def _input(self, name: str) -> Path:
        if name not in self.context.inputs:
            raise Refused(f"The look was not given its {name}", name)
        return self.context.inputs[name]
