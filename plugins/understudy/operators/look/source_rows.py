"""Collect the source's rows of the time that a look at requests is about."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.stage import StageResult
from understudy.contract.words import Watched
from understudy.operators.look.collect import CollectWindowOperator, monitored
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context


class CollectSourceRowsOperator(CollectWindowOperator):
    """Collect what the source says of the window in which gateways were asked; return the file.

    Where they cannot be read, this task alone fails: the look goes on without the comparison, and says so.

    :param model: the declared model.
    """

    def looked_for(self, spec: ModelSpec) -> tuple[MonitorSpec, Watched]:
        """Read the source like training does, without labels from elsewhere."""
        return monitored(spec)[0].model_copy(update={"labels": None}), Watched.DATA

    def label_delay(self, spec: ModelSpec) -> timedelta:  # noqa: ARG002 - the base's
        """Ask for no labels, so for the window alone."""
        return timedelta(0)

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002
        """Name the file."""
        return self.output_of(result, folder, "data").model_dump(mode="json")
