"""Replay a model's past as tasks of a run: read the rows, train in parallel, walk in parallel, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.declared import parse_duration
from understudy.contract.replay.plan import NoTime, ReplayPlan, plan_grid, usual_policies
from understudy.contract.replay.policies import parse_policies
from understudy.contract.replay.report import ReplayReport
from understudy.contract.reports import SnapshotReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import ReplayPart, StageName
from understudy.hooks.connect import connect
from understudy.operators.decisions import actor_of, param
from understudy.operators.problem import telling
from understudy.operators.replay.requests import (
    Replay,
    keep_replay,
    model_code,
    replay_of,
    replayed_of,
    rows_request,
    seconds_of,
    walks_of,
)
from understudy.operators.run_context import as_of, moment_of, run_folder
from understudy.operators.snapshot import SnapshotDataOperator
from understudy.operators.stage.plan import isolation_of, runner_of, runtime_of
from understudy.operators.stage.stage import StageOperator
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class ReplayRowsOperator(SnapshotDataOperator):
    """Read all rows of a replay and plan it; return the plan and where its trainings are remembered.

    :param model: the declared model. (templated)
    """

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Ask for every row up to the end of the replay."""
        if spec.data.time is None:
            raise NoTime(spec.model)
        return rows_request(
            spec,
            folder.run,
            settings().data_roots,
            as_of=as_of(context),
            start=None,
            end=moment_of(context, "end"),
        )

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Cut the history into steps, as the form says or as fits."""
        spec = folder.freeze_spec(self.declared())
        report = SnapshotReport.model_validate(result.report)
        if report.start is None or report.end is None:
            raise NoTime(spec.model)
        step, policies = param(context, "step"), param(context, "policies")
        grid = plan_grid(
            spec,
            report.start,
            report.end,
            start=moment_of(context, "start"),
            end=moment_of(context, "end"),
            step=parse_duration(step) if step else None,
        )
        plan = ReplayPlan(
            grid=grid,
            policies=parse_policies(policies) if policies else usual_policies(spec, grid),
            takeover=param(context, "takeover"),
        )
        runtime = runtime_of(StageName.REPLAY, RuntimeSpec(), spec)
        replay = replay_of(
            spec,
            plan,
            folder.resolve(self.output_of(result, folder, "data")),
            runner_of(isolation_of(runtime)).image_digest(str(runtime.image)),
            workspace=settings().workspace_dir,
            models_dir=settings().models_dir,
            run=folder.run,
        )
        self.log.info("%s steps from %s to %s", grid.steps, grid.moments[0], grid.moments[-1])
        return {"plan": plan.model_dump(mode="json"), "folder": replay.folder.name}


class DealReplayOperator(BaseOperator):
    """Deal a part of a replay to containers; return what each is to do, nothing for what is remembered.

    :param model: the declared model. (templated)
    :param rows: what :class:`ReplayRowsOperator` returned. (templated)
    :param part: the part to deal.
    """

    template_fields = ("model", "rows")
    ui_color = "#e8eef7"

    def __init__(self, *, model: str, rows: "XComArg | dict[str, Any]", part: ReplayPart, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.rows = rows
        self.part = part

    def execute(self, context: "Context") -> list[list[Any]]:
        """Name the pieces of work that are still to be done."""
        with telling(context):
            replay = replay_in(cast("dict[str, Any]", self.rows), run_folder(context, self.model))
            return list(replay.shards()) if self.part is ReplayPart.TRAIN else list(replay.walkers())


class ReplayOperator(StageOperator):
    """Do one piece of a replay; return its walks, if any, and how long its trainings took.

    :param model: the declared model. (templated)
    :param rows: what :class:`ReplayRowsOperator` returned. (templated)
    :param part: what to do.
    :param piece: the moments to train at, or the policies that walk. (templated)
    """

    template_fields = (*StageOperator.template_fields, "rows", "piece")

    def __init__(
        self,
        *,
        model: str,
        rows: "XComArg | dict[str, Any]",
        part: ReplayPart,
        piece: "XComArg | list[Any] | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stage=StageName.REPLAY, model=model, **kwargs)
        self.rows = rows
        self.part = part
        self.piece = piece

    def build_request(
        self,
        context: "Context",  # noqa: ARG002 - the base's signature
        spec: ModelSpec,  # noqa: ARG002
        folder: RunFolder,
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Ask for trainings or for walks."""
        replay = replay_in(cast("dict[str, Any]", self.rows), folder)
        piece = cast("list[Any]", self.piece or [])
        return replay.train(piece) if self.part is ReplayPart.TRAIN else replay.walk(piece)

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002
        """Remember what was trained."""
        if "trainings" in result.outputs:
            replay = replay_in(cast("dict[str, Any]", self.rows), folder)
            replay.take_in(folder.resolve(self.output_of(result, folder, "trainings")))
        return {"walks": walks_of(result.report), "seconds": seconds_of(result.timings)}


class ReplayReportOperator(StageOperator):
    """Compare the walks, keep the report in MLflow and one line in the ledger, and return what was found.

    :param model: the declared model. (templated)
    :param rows: what :class:`ReplayRowsOperator` returned. (templated)
    :param walked: what the walks returned. (templated)
    :param trained: what the trainings returned; nothing where all were remembered. (templated)
    """

    template_fields = (*StageOperator.template_fields, "rows", "walked", "trained")

    def __init__(
        self,
        *,
        model: str,
        rows: "XComArg | dict[str, Any]",
        walked: "XComArg | list[Any]",
        trained: "XComArg | list[Any] | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(stage=StageName.REPLAY, model=model, **kwargs)
        self.rows = rows
        self.walked = walked
        self.trained = trained

    def build_request(
        self,
        context: "Context",  # noqa: ARG002 - the base's signature
        spec: ModelSpec,  # noqa: ARG002
        folder: RunFolder,
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Hand over all walks."""
        walks = [way for piece in _rows_of(self.walked) for way in piece["walks"]]
        if not walks:
            raise AirflowSkipException("no policy has walked")
        return replay_in(cast("dict[str, Any]", self.rows), folder).report(walks)

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Keep the evidence; the whole report is in MLflow, XCom gets what fits on a page."""
        report = ReplayReport.model_validate(result.report)
        replay = replay_in(cast("dict[str, Any]", self.rows), folder)
        seconds = [took for piece in _rows_of(self.trained) for took in piece["seconds"]]
        replayed = replayed_of(report, replay.folder, seconds)
        page = folder.resolve(self.output_of(result, folder, "report"))
        keep_replay(connect(), replayed, page, actor_of(context), folder.run)
        self.log.info("%s", replayed.sentence)
        recommended = report.recommendation.model_dump(mode="json") if report.recommendation else None
        return {"sentence": replayed.sentence, "recommendation": recommended}


def _rows_of(returned: Any) -> list[Any]:
    # Sliced, because Airflow's lazy sequence fetches and logs one by one when it is iterated.
    return [piece for piece in returned[:] if piece] if returned is not None else []


def replay_in(rows: dict[str, Any], folder: RunFolder) -> Replay:
    """Find the replay that a run's first task has planned."""
    kept = folder.workspace / folder.model / str(rows["folder"])
    spec = ModelSpec.model_validate_json((folder.path / "spec.json").read_text(encoding="utf-8"))
    code = model_code(spec, settings().models_dir)
    return Replay(spec, ReplayPlan.model_validate(rows["plan"]), kept / "data.parquet", kept, code, folder.run)
