"""Compare what a champion is asked now with what it was trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.monitoring import DriftReport
from understudy.contract.stage import Artefact, StageRequest, StageResult
from understudy.contract.words import StageName
from understudy.operators.handover import Collected
from understudy.operators.look.looking import LookingOperator
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

SOURCE = "source.parquet"


class DriftCheckOperator(LookingOperator):
    """Measure how far the collected rows lie from the champion's reference window; return :class:`Measured`.

    Skips where the reference is gone or the rows cannot be compared; :class:`DecideRetrainingOperator` says why.

    :param model: the declared model.
    :param collected: what :class:`CollectWindowOperator` returned. (templated)
    :param source: what :class:`CollectSourceRowsOperator` returned, for train/serve skew. (templated)
    """

    template_fields = (*LookingOperator.template_fields, "collected", "source")

    def __init__(
        self,
        *,
        model: str,
        collected: "XComArg | dict[str, Any] | None",
        source: "XComArg | dict[str, Any] | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stage=StageName.DRIFT, model=model, **kwargs)
        self.collected = collected
        self.source = source

    def execute(self, context: "Context") -> Any:
        """Measure; skip where nothing was collected."""
        if self.collected is None:
            raise AirflowSkipException("there are no rows to compare")
        return super().execute(context)

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Mount both windows and the champion."""
        collected = Collected.model_validate(self.collected)
        source = {SOURCE: folder.resolve(Artefact.model_validate(self.source))} if self.source else {}
        return self.request(context, spec, params=self.asked_of(collected)), {
            **source,
            "current.parquet": folder.resolve(collected.data),
            "reference.parquet": self.reference(context, collected.champion),
            **self.champion_files(collected.champion, folder),
            **self.model_code(spec),
        }

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002
        """Hand the report over as a file."""
        report = DriftReport.model_validate(result.report)
        moved = [column.column for column in report.columns if column.has_moved]
        self.log.info("%s of %s columns have moved: %s", len(moved), len(report.columns), ", ".join(moved[:20]) or "-")
        return self.keep(result, folder, report)
