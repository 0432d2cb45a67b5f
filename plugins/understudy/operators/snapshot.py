"""Read the window that a run is about, and make it a data version."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from understudy.contract.cause import Cause
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_moment
from understudy.contract.reports import SnapshotReport
from understudy.contract.retrainings import why_held_back
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import EntryKind, StageName
from understudy.hooks.connect import connect
from understudy.hooks.local_runs import this_process
from understudy.hooks.looks import retrainings
from understudy.operators.cause import cause_of
from understudy.operators.decisions import (
    HELD_BACK_KEY,
    actor_of,
    last_sound_window,
    may_promote,
)
from understudy.operators.errors import RetrainingHeldBack
from understudy.operators.handover import Snapshot
from understudy.operators.run_context import airflow_run, as_of, require_known_fields
from understudy.operators.served import served_by
from understudy.operators.source_files import mounted_sources, reaches_out, source_secrets
from understudy.operators.stage.data_stage import DataStageOperator
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context


class SnapshotDataOperator(DataStageOperator):
    """Read the source for the run's window and version it with DVC; return a :class:`Snapshot`.

    A source that cannot be used ends the run: by failing this task, or, with ``skip_on_refusal``, by skipping it and
    everything below. One that is not there is tried again, and fails it in the end.

    :param model: the declared model.
    :param skip_on_refusal: whether a later task reports the refusal.
    """

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(stage=StageName.SNAPSHOT, model=model, **kwargs)

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Name the window and mount the files behind the source."""
        require_known_fields(context)
        moment = as_of(context)
        end = moment - spec.data.label_delay if spec.data.time else None
        start = end - spec.data.window if end and spec.data.window else None
        cause = cause_of(context)
        self._hold_back(context, spec, folder, cause)
        local = this_process(settings().home, context["dag"].dag_id)
        connect().ledger.append_once(
            f"{self.model}/{folder.run}/triggered",
            self.model,
            EntryKind.TRIGGERED,
            actor_of(context),
            cause.sentence,
            folder.run,
            {
                "cause": cause.model_dump(mode="json"),
                "may_promote": may_promote(context),
                "as_of": moment.isoformat(),
                "window_start": format_moment(start),
                "window_end": format_moment(end),
                **airflow_run(context).model_dump(),
                **({"local": local.model_dump()} if local else {}),
                "spec_sha256": spec.digest(),
            },
        )
        if may_promote(context):
            served_by(connect(), spec)  # hours of training would end in the same sentence
        files, named = mounted_sources(context, spec.data)
        request = self.request(
            context,
            spec,
            params={
                "start": format_moment(start),
                "end": format_moment(end),
                **named,
            },
        )
        previous = self._previous(spec, folder) if spec.data.incremental else {}
        return request, {**files, **previous}

    def _hold_back(self, context: "Context", spec: ModelSpec, folder: RunFolder, cause: Cause) -> None:
        """Skip a run whose events ask for what is done already: they come late, twice, or by the thousand."""
        past = retrainings(connect().ledger, self.model)
        why = why_held_back(cause, past, folder.run, context["dag_run"].run_after, spec.retrain.cooldown)
        if why is not None:
            context["ti"].xcom_push(key=HELD_BACK_KEY, value=why)
            raise RetrainingHeldBack(why)

    def _previous(self, spec: ModelSpec, folder: RunFolder) -> dict[str, Path]:
        hooks = connect()
        accepted = last_sound_window(hooks.ledger, spec.model)
        if accepted is None:
            return {}
        return {
            "previous.parquet": hooks.data_versions.restore(accepted, folder.outputs("previous") / "previous.parquet")
        }

    def reaches_out(self, spec: ModelSpec) -> bool:
        """Give the container a network only where the source is on one."""
        return reaches_out(spec.data)

    def secrets(self, context: "Context", spec: ModelSpec) -> Mapping[str, SecretStr]:  # noqa: ARG002 - the base's
        """Hand the database's URL over by standard input."""
        return source_secrets(spec.data)

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002
        """Record the data version; the same content is the same version, however often it is read."""
        report = SnapshotReport.model_validate(result.report)
        data = self.output_of(result, folder, "data")
        version = connect().data_versions.record(
            folder.resolve(data),
            self.model,
            {
                "run": folder.run,
                "rows": report.rows,
                "start": format_moment(report.start),
                "end": format_moment(report.end),
                "sources": dict(report.sources),
            },
        )
        self.log.info(
            "data version %s: %s rows from %s to %s; %s lie outside of the window, %s have no time that can be read",
            version.sha256[:12],
            f"{report.rows:,}",
            report.start,
            report.end,
            f"{report.rows_outside_window:,}",
            f"{report.rows_without_time:,}",
        )
        return Snapshot(
            data=data,
            data_version=version.sha256,
            rows=report.rows,
            start=report.start,
            end=report.end,
            undated=self.output_of(result, folder, "undated") if "undated" in result.outputs else None,
        ).model_dump(mode="json")
