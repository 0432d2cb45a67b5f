"""What the stages of a look have in common: what cannot be measured is a finding, not a failure."""

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.declared import format_moment
from understudy.contract.release import Bundle, Deployment
from understudy.contract.stage import StageResult
from understudy.hooks.connect import connect
from understudy.hooks.data.errors import DataDamaged, UnknownDataVersion
from understudy.hooks.data.references import reference_of
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.handover import Collected, Measured
from understudy.operators.stage.stage import StageOperator
from understudy.operators.stage_errors import LookImpossible, StageRefused
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import Context
    from pydantic import JsonValue

REPORT = "measured.json"


class LookingOperator(StageOperator):
    """Run a stage of a look; skip what it refuses, so that the look's last task can say why.

    :param model: the declared model.
    """

    ui_color = "#efe6fa"

    def refusal(self, refused: StageRefused) -> Exception:
        """Skip: the champion cannot be looked at, which is no reason to page anybody yet."""
        return LookImpossible(refused.message)

    def champion(self) -> Deployment:
        """Say who is looked at; skip where nobody serves yet."""
        current = connect().deployments.current(self.model)
        if current is None:
            raise AirflowSkipException(f"{self.model} has no champion yet; there is nothing to look at")
        return current

    def reference(self, context: "Context", champion: Bundle) -> "Path":
        """Give the champion's reference window; skip where it is gone for good."""
        try:
            return reference_of(champion, connect().data_versions, settings().home)
        except (UnknownDataVersion, DataDamaged) as gone:
            sentence = f"the reference window of version {champion.version} cannot be restored: {gone}"
            context["ti"].xcom_push(key=REFUSAL_KEY, value=sentence)
            raise LookImpossible(sentence) from gone

    def champion_files(self, champion: Bundle, folder: RunFolder) -> "dict[str, Path]":
        """Fetch the champion and what its training said, verified: for this task alone, as others fetch meanwhile."""
        registry, own = connect().registry, folder.outputs(f"champion-for-{self.task_id}")
        return {
            "champion": registry.fetch(champion, own / "model"),
            "training.json": registry.fetch_file(champion, "training.json", own / "training.json"),
        }

    def asked_of(self, collected: Collected) -> "dict[str, JsonValue]":
        """Say what a stage has to know of the look."""
        return {
            "watched": collected.watched.value,
            "champion_version": collected.champion.version,
            "reference_data": collected.champion.reference_data,
            "trained_until": format_moment(collected.trained_until),
            "start": format_moment(collected.window_start),
            "end": format_moment(collected.window_end),
        }

    def keep(self, result: StageResult, folder: RunFolder, report: Any) -> dict[str, Any]:
        """Keep the report as a file and name it, with what else the stage wrote."""
        path = folder.outputs(self.task_id) / REPORT
        path.write_text(report.model_dump_json(indent=1), encoding="utf-8")
        shown = {name: self.output_of(result, folder, name) for name in result.outputs}
        return Measured(report=folder.describe(path), shown=shown).model_dump(mode="json")
