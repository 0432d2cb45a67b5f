"""Search hyperparameters: ask for points, try each in its own container."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException
from pydantic import JsonValue

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import sha256_of
from understudy.contract.load import load_model
from understudy.contract.reports import TrialReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import EntryKind, StageName
from understudy.hooks.connect import connect
from understudy.hooks.search import Search, rounds
from understudy.operators.decisions import param
from understudy.operators.handover import AskedTrial, CheckedData
from understudy.operators.problem import telling
from understudy.operators.run_context import run_folder
from understudy.operators.stage.stage import StageOperator
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


def open_search(spec: ModelSpec, folder: RunFolder) -> Search:
    """Open the journal of one run's search."""
    return Search(folder.path / "search" / "journal.log", spec.model, spec.train, spec.primary)


def trial_reports(returned: Any) -> list[TrialReport]:
    """Read what the trials of a round returned; lost trials are simply absent."""
    if isinstance(returned, dict):
        returned = [returned]
    # Sliced, because Airflow's lazy sequence fetches and logs one by one when it is iterated.
    rows = returned[:] if isinstance(returned, Sequence) else []
    return [TrialReport.model_validate(row) for row in rows if row]


def search_space_digest(spec: ModelSpec) -> str:
    """Digest what a search result is valid for: another estimator or another space needs a new search."""
    return sha256_of(spec.train.model_dump(mode="json", include={"estimator", "trainer", "search", "params"}))


class AskTrialsOperator(BaseOperator):
    """Record the last round's values and propose the next points; return a list of :class:`AskedTrial`.

    A scheduled run of a model whose search space has not changed starts from the champion's point and runs one round;
    ``full_search`` in the run's form, a first model or another space spend the whole budget.

    :param model: the declared model.
    :param data: what :class:`DataSanityCheckOperator` returned. (templated)
    :param round_number: 1 for the first round.
    :param previous: what the trials of the round before returned. (templated)
    """

    template_fields = ("data", "previous")
    ui_color = "#e8eef7"

    def __init__(
        self,
        *,
        model: str,
        data: "XComArg | dict[str, Any]",
        round_number: int,
        previous: "XComArg | list[Any] | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.data = data
        self.round_number = round_number
        self.previous = previous

    def execute(self, context: "Context") -> list[dict[str, Any]]:
        """Tell, then ask."""
        with telling(context):
            return self._ask(context)

    def _ask(self, context: "Context") -> list[dict[str, Any]]:
        if not self.data:
            raise AirflowSkipException("there is no checked window to train on")
        folder = run_folder(context, self.model)
        spec = folder.freeze_spec(load_model(settings().models_dir, self.model))
        search = open_search(spec, folder)
        if self.round_number > 1:
            search.tell(trial_reports(self.previous))
        champion_point = champion_search_result(spec)
        if self.round_number > 1 and champion_point is not None and not param(context, "full_search"):
            self.log.info("the champion's hyperparameters were searched in the same space; one round is enough")
            return []
        points = search.ask(rounds(spec.train)[self.round_number - 1], self.round_number, champion_point)
        self.log.info("round %s: %s points", self.round_number, len(points))
        return [AskedTrial.model_validate(point).model_dump(mode="json") for point in points]


def champion_search_result(spec: ModelSpec) -> dict[str, JsonValue] | None:
    """Return the champion's searched hyperparameters where they were found in the same space."""
    hooks = connect()
    champion = hooks.deployments.current(spec.model)
    if champion is None:
        return None
    trained = hooks.ledger.entries(
        model=spec.model, kinds=(EntryKind.TRAINED,), run=champion.champion.run, newest_first=True
    )
    facts = trained[0].facts if trained else {}
    searched = facts.get("searched")
    is_same_space = facts.get("search_space") == search_space_digest(spec)
    return searched if is_same_space and isinstance(searched, dict) and searched else None


class TrialOperator(StageOperator):
    """Try one point of the search space; return a :class:`TrialReport`.

    :param model: the declared model.
    :param data: what :class:`DataSanityCheckOperator` returned. (templated)
    :param trial: one of the points that :class:`AskTrialsOperator` returned. (templated)
    """

    template_fields = (*StageOperator.template_fields, "data", "trial")

    def __init__(
        self, *, model: str, data: "XComArg | dict[str, Any]", trial: "XComArg | dict[str, Any]", **kwargs: Any
    ) -> None:
        super().__init__(stage=StageName.TRIAL, model=model, **kwargs)
        self.data = data
        self.trial = trial

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Mount the window and name the point."""
        inputs = {"data.parquet": folder.resolve(CheckedData.model_validate(self.data).data), **self.model_code(spec)}
        point = AskedTrial.model_validate(self.trial)
        return self.request(context, spec, params={"number": point.number, "params": point.params}), inputs

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002 - the base's signature
        """Log the value and hand it to the next round."""
        report = TrialReport.model_validate(result.report)
        self.log.info("trial %s: %s = %s", report.number, report.metric, report.value)
        return report.model_dump(mode="json")
