"""Measure how well the champion answers now, on the rows whose labels have come."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.monitoring import QualityReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import StageName
from understudy.operators.handover import Collected
from understudy.operators.look.looking import LookingOperator
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class QualityCheckOperator(LookingOperator):
    """Measure the champion's quality on the collected rows that have labels; return :class:`Measured`.

    :param model: the declared model.
    :param collected: what :class:`CollectWindowOperator` returned. (templated)
    """

    template_fields = (*LookingOperator.template_fields, "collected")

    def __init__(self, *, model: str, collected: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(stage=StageName.QUALITY, model=model, **kwargs)
        self.collected = collected

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Mount the rows, the champion, and the window that it was blessed on."""
        collected = Collected.model_validate(self.collected)
        return self.request(context, spec, params=self.asked_of(collected)), {
            "current.parquet": folder.resolve(collected.data),
            "reference.parquet": self.reference(context, collected.champion),
            **self.champion_files(collected.champion, folder),
            **self.model_code(spec),
        }

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002
        """Hand the report over as a file."""
        report = QualityReport.model_validate(result.report)
        self.log.info(
            "%s of %s rows have a label; %s is %s", report.labelled_rows, report.rows, report.metric, report.value
        )
        return self.keep(result, folder, report)
