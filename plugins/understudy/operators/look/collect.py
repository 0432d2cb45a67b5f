"""Collect the rows that a look is about: from the source, from scored rows, or from what gateways have logged."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.data import DataSpec
from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import SplitSpec
from understudy.contract.declared import format_moment
from understudy.contract.release import Deployment
from understudy.contract.reports import SnapshotReport
from understudy.contract.serving import RowsQuery
from understudy.contract.stage import Artefact, StageRequest, StageResult
from understudy.contract.words import StageName, Watched
from understudy.hooks.connect import connect
from understudy.hooks.traffic.live_rows import join_parts
from understudy.operators.errors import GatewaysMissing, NothingToMonitor
from understudy.operators.handover import Collected
from understudy.operators.look.looking import LookingOperator
from understudy.operators.problem import telling
from understudy.operators.run_context import as_of, run_folder
from understudy.operators.source_files import label_files, label_secrets, mounted_sources, reaches_out, source_secrets
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from pydantic import SecretStr


LOGGED = "logged"
"""Where a run keeps what gateways have sent."""


class CollectWindowOperator(LookingOperator):
    """Collect the current window of the model's ``monitor`` section into one Parquet file; return :class:`Collected`.

    Labels may be missing. Skips where no champion serves, and where there is nothing to collect.

    :param model: the declared model.
    """

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(stage=StageName.SNAPSHOT, model=model, **kwargs)

    def looked_for(self, spec: ModelSpec) -> tuple[MonitorSpec, Watched]:
        """Say which rows this task collects."""
        return monitored(spec)

    def label_delay(self, spec: ModelSpec) -> timedelta:
        """Say how long before the window those rows begin whose labels are final by now."""
        return spec.data.label_delay

    def execute(self, context: "Context") -> Any:
        """Ask the gateways where they are watched; else run the stage that reads the rows."""
        with telling(context):
            folder = run_folder(context, self.model)
            spec = folder.freeze_spec(self.declared())
            monitor, watched = self.looked_for(spec)
            if watched is Watched.GATEWAY:
                asked = self._asked_of_gateways(context, spec, folder)
                if monitor.labels is None:
                    return asked
        return super().execute(context)

    def build_request(
        self,
        context: "Context",
        spec: ModelSpec,
        folder: RunFolder,
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Name the window and mount the files behind it."""
        champion = self.champion()
        monitor, watched = self.looked_for(spec)
        end = as_of(context)
        read = scored_as_source(spec, monitor) if watched is Watched.SCORED else spec
        is_dated = read.data.time is not None
        logged = folder.outputs(LOGGED) / "data.parquet"
        files, named = (
            ({"live.parquet": logged}, {}) if watched is Watched.GATEWAY else mounted_sources(context, read.data)
        )
        request = self.request(
            context,
            read,
            params={
                "start": format_moment(end - monitor.window - self.label_delay(spec)) if is_dated else None,
                "end": format_moment(end) if is_dated else None,
                "labels": "optional",
                "labelled_since": format_moment(_reference_end(champion)),
                "labelled_until": format_moment(end - spec.data.label_delay),
                **named,
            },
        )
        return request, {**files, **label_files(monitor.labels)}

    def reaches_out(self, spec: ModelSpec) -> bool:
        """Give the container a network only where the rows are on one."""
        read, labels = self._read(spec), self.looked_for(spec)[0].labels
        return (read is not None and reaches_out(read)) or (labels is not None and labels.query is not None)

    def secrets(self, context: "Context", spec: ModelSpec) -> "Mapping[str, SecretStr]":  # noqa: ARG002 - the base's
        """Hand the database's URL over by standard input."""
        read = self._read(spec)
        own = {} if read is None else source_secrets(read)
        return {**own, **label_secrets(self.looked_for(spec)[0].labels)}

    def _read(self, spec: ModelSpec) -> DataSpec | None:
        """Describe the rows that the stage reads itself; None where gateways send them."""
        monitor, watched = self.looked_for(spec)
        if watched is Watched.GATEWAY:
            return None
        return (scored_as_source(spec, monitor) if watched is Watched.SCORED else spec).data

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Name the rows and whom they are about."""
        report = SnapshotReport.model_validate(result.report)
        spec, data = folder.freeze_spec(self.declared()), self.output_of(result, folder, "data")
        if report.labels is not None:
            self.log.info("labels: %s", report.labels)
        return self._collected(context, spec, self.champion(), data, rows=report.rows, new_labels=report.new_labels)

    def _asked_of_gateways(self, context: "Context", spec: ModelSpec, folder: RunFolder) -> dict[str, Any]:
        """Fetch what the champion was asked and answered at every replica, and join it."""
        champion, end = self.champion(), as_of(context)
        hooks, (monitor, _) = connect(), monitored(spec)
        if hooks.gateways is None:
            raise GatewaysMissing(spec.model)
        query = RowsQuery(
            version=champion.champion.version,
            since=end - monitor.window - self.label_delay(spec),
            until=end,
            labelled_since=_reference_end(champion),
        )
        own = folder.outputs(LOGGED)
        counted, parts = hooks.gateways.rows(spec.model, query, own / "parts")
        table = own / "data.parquet"
        join_parts(parts, table, spec.data.target)
        rows, new_labels = sum(one.rows for one in counted), sum(one.new_labels for one in counted)
        for one in counted:
            self.log.info("%s answered %s rows, %s of them sent", one.gateway, f"{one.rows:,}", f"{one.written_rows:,}")
        return self._collected(context, spec, champion, folder.describe(table), rows=rows, new_labels=new_labels)

    def _collected(
        self,
        context: "Context",
        spec: ModelSpec,
        champion: Deployment,
        data: Artefact,
        *,
        rows: int,
        new_labels: int | None,
    ) -> dict[str, Any]:
        end, (monitor, watched) = as_of(context), monitored(spec)
        self.log.info("%s rows to look at, for version %s", f"{rows:,}", champion.champion.version)
        return Collected(
            data=data,
            watched=watched,
            rows=rows,
            window_start=end - monitor.window,
            window_end=end,
            champion=champion.champion,
            champion_since=champion.champion_since,
            trained_until=trained_until(champion),
            new_labels=new_labels,
        ).model_dump(mode="json")


def monitored(spec: ModelSpec) -> tuple[MonitorSpec, Watched]:
    """Give the section that says how the model is watched, and where its rows are found.

    :raises NothingToMonitor: where the declaration does not say.
    """
    monitor = spec.monitor
    if monitor is None:
        raise NothingToMonitor(spec.model, "has no monitor section")
    default = Watched.SCORED if monitor.scored else Watched.DATA
    is_ours = spec.serving is not None and spec.serving.target is None
    watched = monitor.of or (Watched.GATEWAY if is_ours else default)
    if watched is Watched.SCORED and monitor.scored is None:
        raise NothingToMonitor(spec.model, "watches scored rows and does not say where they lie (monitor.scored)")
    if watched is Watched.GATEWAY and not is_ours:
        raise NothingToMonitor(spec.model, "watches gateways and is not served by any (serving)")
    if monitor.skew and (watched is not Watched.GATEWAY or spec.data.time is None):
        raise NothingToMonitor(
            spec.model,
            "compares requests with the source (monitor.skew) but watches no gateway, or its rows have no dates",
        )
    return monitor, watched


def scored_as_source(spec: ModelSpec, monitor: MonitorSpec) -> ModelSpec:
    """Describe scored rows as a source, so that the same stage reads both."""
    scored = monitor.scored
    if scored is None:
        raise NothingToMonitor(spec.model, "does not say where scored rows lie (monitor.scored)")
    data = DataSpec(
        source=scored.source,
        query=scored.query,
        connection=scored.connection,
        target=spec.data.target,
        time=scored.time,
        classes=spec.data.classes.model_copy(update={"pii": (), "sensitive": ()}),
        nulls=spec.data.nulls,
        key=spec.data.key,
    )
    # They have dates even where the model's own rows have none; how those are split is no matter here.
    return spec.model_copy(update={"data": data, "split": SplitSpec()})


def trained_until(champion: Deployment) -> datetime | None:
    """Say how new the newest row is that the champion's training saw."""
    told = connect().registry.tags(champion.champion).get("train_end")
    return _in_utc(told) if told else None


def _reference_end(champion: Deployment) -> datetime | None:
    noted = connect().data_versions.read_by(champion.model, champion.champion.reference_data)
    end = noted.facts.get("end") if noted else None
    return _in_utc(str(end)) if end else None


def _in_utc(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
