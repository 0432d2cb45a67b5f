"""Run one stage in a container (or process) of its own: never lost, never doubled."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from pydantic import JsonValue, SecretStr

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.errors import UnknownModel
from understudy.contract.load import load_model
from understudy.contract.stage import Artefact, StageRequest, StageResult
from understudy.contract.words import Isolation
from understudy.operators.problem import telling
from understudy.operators.run_context import as_of, run_folder
from understudy.operators.stage.attempt import Attempt
from understudy.operators.stage.inputs import digested, named_inputs
from understudy.operators.stage.plan import Asked, isolation_of, plan, runner_of, runtime_of
from understudy.operators.stage.resumable import ResumableStage
from understudy.operators.stage_errors import ResultUnusable
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class StageOperator(ResumableStage, BaseOperator):
    """Run a stage and return its report and its outputs.

    A worker that dies leaves the stage running; the retry attaches to it again. Killing the task removes the stage
    within five seconds. A stage that refuses its input or runs out of memory is not tried again.

    Subclasses say what goes in (:meth:`build_request`, :meth:`secrets`, :meth:`reaches_out`) and what the numbers lead
    to (:meth:`conclude`), for declared models. A stage of your own runs without any subclass, also for a model that no
    model.yaml declares.

    :param stage: a built-in stage, or ``package.module:function`` marked by ``@stage``.
    :param model: the model that the run is about; its model.yaml says in what the stage runs. (templated)
    :param stage_params: what the function finds in ``context.request.params``. (templated)
    :param inputs: name to a path below the workspace, or to an output of an upstream stage. (templated)
    :param image: the image to run in, instead of the declared one. (templated)
    :param isolation: where to run, instead of the declared or deployed choice.
    :param needs_network: whether the stage may use the network.
    :param timeout: the time limit, instead of the declared one.
    """

    template_fields: Collection[str] = ("model", "stage_params", "inputs", "image")
    ui_color = "#e6eefa"

    def __init__(
        self,
        *,
        stage: str,
        model: str,
        stage_params: "dict[str, Any] | XComArg | None" = None,
        inputs: "dict[str, Any] | XComArg | None" = None,
        image: str | None = None,
        isolation: Isolation | None = None,
        needs_network: bool = False,
        timeout: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stage = stage
        self.model = model
        self.stage_params = stage_params
        self.inputs = inputs
        self.image = image
        self.isolation = isolation
        self.needs_network = needs_network
        self.timeout = timeout
        self._attempt = None

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Say what to ask and which files to mount, by input name."""
        inputs = self._named_inputs(folder)
        return self.request(context, spec), {name: folder.resolve(artefact) for name, artefact in inputs.items()}

    def secrets(self, context: "Context", spec: ModelSpec) -> Mapping[str, SecretStr]:  # noqa: ARG002 - for subclasses
        """Say what the stage may know and nobody else; read it from Airflow's connections here, not earlier."""
        return {}

    def reaches_out(self, spec: ModelSpec) -> bool:  # noqa: ARG002 - for subclasses
        """Say whether the stage may use the network."""
        return self.needs_network

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:  # noqa: ARG002
        """Judge the report and act on it; what is returned is the task's XCom. Must be safe to run twice."""
        outputs = {name: self.output_of(result, folder, name).model_dump(mode="json") for name in result.outputs}
        return {"report": result.report, "outputs": outputs}

    def declared(self) -> ModelSpec:
        """Read the model's declaration.

        :raises SpecProblem: where it cannot be used; :class:`UnknownModel` where there is none.
        """
        return load_model(settings().models_dir, self.model)

    def request(
        self, context: "Context", spec: ModelSpec | None, params: Mapping[str, JsonValue] | None = None
    ) -> StageRequest:
        """Start a request with everything but its inputs, which are digested from the files."""
        return StageRequest(
            stage=str(self.stage),
            model=self.model,
            run=run_folder(context, self.model).run,
            as_of=as_of(context),
            seed=spec.train.seed if spec else 0,
            spec=spec.model_dump(mode="json") if spec else {},
            params=dict(params) if params is not None else cast("dict[str, JsonValue]", self.stage_params or {}),
        )

    def model_code(self, spec: ModelSpec) -> dict[str, Path]:
        """Give the team's own code as the input ``code``, where the declaration names any."""
        has_value = spec.evaluate.value is not None and spec.evaluate.value.function is not None
        return (
            {"code": settings().models_dir / spec.model} if spec.train.trainer or spec.data.prepare or has_value else {}
        )

    def output_of(self, result: StageResult, folder: RunFolder, name: str) -> Artefact:
        """Give an output with its path below the workspace, as later tasks need it."""
        artefact = result.outputs.get(name)
        if artefact is None:
            raise ResultUnusable(str(self.stage), f"it has no output {name!r}, only {sorted(result.outputs)}")
        root = self._attempt.job.outputs if self._attempt else folder.outputs(self.task_id)
        path = PurePosixPath(root.relative_to(folder.workspace).as_posix()) / artefact.path
        return artefact.model_copy(update={"path": str(path)})

    def image_digest(self, spec: ModelSpec) -> str:
        """Identify the code that this task's stage runs in."""
        runtime = self._runtime(spec)
        runner = self._attempt.runner if self._attempt else runner_of(isolation_of(runtime))
        return runner.image_digest(str(runtime.image))

    def own_image(self, spec: ModelSpec) -> str:
        """Name the image where it is another than the deployment's own; empty where it is that."""
        image = str(self._runtime(spec).image)
        return "" if image == settings().image else image

    def execute(self, context: "Context") -> Any:
        """Run the stage, or attach to the one that an earlier try left, and conclude."""
        with telling(context):
            self._attempt = self._plan(context)
            # On a reconnect the mixin returns what polling returned, else the job's result; both are left empty here
            # and the result is read once, below, so that every way to the end gives the same XCom.
            self.execute_resumable(context)
            folder = self._attempt.folder
            return self._collect(context, lambda result: self.conclude(context, result, folder))

    def _plan(self, context: "Context") -> Attempt:
        folder = run_folder(context, self.model)
        spec = self._spec(folder)
        if spec is None:
            given = {name: folder.resolve(artefact) for name, artefact in self._named_inputs(folder).items()}
            asked = Asked(self.request(context, None), given, needs_network=self.needs_network)
        else:
            request, paths = self.build_request(context, spec, folder)
            asked = Asked(request, paths, self.secrets(context, spec), self.reaches_out(spec))
        _hide(asked.secrets)
        request = digested(asked.request, asked.inputs, self._named_inputs(folder))
        attempt = plan(context, replace(asked, request=request), folder, self._runtime(spec), self.timeout)
        if attempt.isolation == Isolation.PROCESS and isolation_of(self._runtime(spec)) == "auto":
            self.log.warning("No Docker engine answers, so the stages of this run are processes, not containers")
        return attempt

    def _spec(self, folder: RunFolder) -> ModelSpec | None:
        try:
            return folder.freeze_spec(self.declared())
        except UnknownModel:
            if ":" in self.stage and type(self).build_request is StageOperator.build_request:
                self.log.info("No model.yaml declares %s; the deployment's defaults apply", self.model)
                return None
            raise

    def _runtime(self, spec: ModelSpec | None) -> RuntimeSpec:
        own = RuntimeSpec(image=self.image, isolation=self.isolation.value if self.isolation else None)
        return runtime_of(str(self.stage), own, spec)

    def _named_inputs(self, folder: RunFolder) -> dict[str, Artefact]:
        return named_inputs(cast("dict[str, Any]", self.inputs or {}), folder)


def _hide(secrets: Mapping[str, SecretStr]) -> None:
    """Let Airflow mask the secrets in whatever a stage logs."""
    if secrets:
        from airflow.sdk.log import mask_secret

        for secret in secrets.values():
            mask_secret(secret.get_secret_value())
