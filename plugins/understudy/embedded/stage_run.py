"""Run one stage to its end without Airflow, and find it again after this process was killed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.declared import format_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import JobState
from understudy.operators.stage.answer import read_answer, read_refusal
from understudy.operators.stage.attempt import REQUEST_LABEL, Attempt, job_name, request_key
from understudy.operators.stage.inputs import digested
from understudy.operators.stage.plan import isolation_of, resources_of, runner_of, runtime_of
from understudy.operators.stage.watch import end_soon, watch
from understudy.operators.stage_errors import StageBroken, StageOutOfMemory, StageTimedOut, StageVanished
from understudy.runners.choose import deployment_key
from understudy.runners.protocol import Job, JobStatus
from understudy.settings import Settings
from understudy.workspace import RunFolder

Hear = Callable[[str], None]


@dataclass(frozen=True)
class Listener:
    """Pass a stage's log lines on, in the place of a logger."""

    hear: Hear

    def log(self, level: int, message: str, *values: object) -> None:  # noqa: ARG002 - a logger's signature
        """Hear a line, whatever its level."""
        self.hear(message % values)

    def warning(self, message: str, *values: object) -> None:
        """Hear a warning."""
        self.hear(message % values)


@dataclass
class StageRuns:
    """Run the stages of one piece of work that has a name of its own."""

    settings: Settings
    spec: ModelSpec
    name: str
    running: list[Attempt] = field(default_factory=list)

    def run(
        self,
        task: str,
        request: StageRequest,
        paths: dict[str, Path],
        outputs: Path,
        hear: Hear,
        *,
        secrets: dict[str, SecretStr] | None = None,
        needs_network: bool = False,
    ) -> StageResult:
        """Run a stage, or attach to the one of the same name that answers the same request.

        :raises UnderstudyError: in one sentence, whatever way it failed.
        """
        job = self._job(task, digested(request, paths, {}), paths, outputs, needs_network=needs_network)
        attempt = self._attempt(job, secrets or {})
        self.running.append(attempt)
        try:
            attempt.job_id = self._find(attempt) or attempt.runner.submit(attempt.job, attempt.secrets)
            status, last_words = watch(attempt, attempt.job_id, Listener(hear))
            failure = _failure(attempt, attempt.job_id, status, last_words)
            result = read_answer(attempt, attempt.job_id) if failure is None else None
            if not (attempt.is_timed_out or attempt.is_killed):
                attempt.runner.remove(attempt.job_id)
        finally:
            self.running.remove(attempt)
        if failure is not None or result is None:
            raise failure or StageVanished(request.stage)
        return result

    def end(self) -> None:
        """End all that runs; what is finished stays remembered."""
        for attempt in list(self.running):
            end_soon(attempt, Listener(lambda _: None))

    def _find(self, attempt: Attempt) -> str | None:
        left = attempt.runner.find(attempt.job.name)
        if left is None:
            return None
        status = attempt.runner.status(left)
        return left if status.state in (JobState.RUNNING, JobState.DONE) and attempt.is_about(status) else None

    def _job(
        self, task: str, request: StageRequest, paths: dict[str, Path], outputs: Path, *, needs_network: bool
    ) -> Job:
        runtime = self._runtime(request.stage)
        image = str(runtime.image)
        digest = runner_of(isolation_of(runtime)).image_digest(image)
        where = {"dag_id": "", "run_id": self.name, "task_id": task, "map_index": ""}
        outputs.parent.mkdir(parents=True, exist_ok=True)
        return Job(
            name=job_name(deployment_key(self.settings), self.spec.model, where),
            request=request,
            image=image,
            inputs=paths,
            outputs=outputs,
            resources=resources_of(runtime, None),
            needs_network=needs_network,
            # Without the labels of an Airflow task, by which housekeeping would take it for an orphan.
            labels={"model": self.spec.model, REQUEST_LABEL: request_key(request.model_dump(mode="json"), digest)},
        )

    def _attempt(self, job: Job, secrets: dict[str, SecretStr]) -> Attempt:
        runtime = self._runtime(job.request.stage)
        runner = runner_of(isolation_of(runtime))
        folder = RunFolder(workspace=self.settings.workspace_dir, model=self.spec.model, run=self.name)
        return Attempt(
            runner=runner,
            job=job,
            secrets=secrets,
            folder=folder,
            isolation=runner.isolation.value,
            memory=str(runtime.memory),
        )

    def _runtime(self, stage: str) -> RuntimeSpec:
        return runtime_of(stage, RuntimeSpec(), self.spec)


def _failure(attempt: Attempt, job_id: str, status: JobStatus, last_words: str) -> UnderstudyError | None:
    stage: Any = attempt.job.request.stage
    if attempt.is_timed_out:
        return StageTimedOut(stage, format_duration(attempt.job.resources.timeout))
    if attempt.is_killed or status.state in (JobState.GONE, JobState.CREATED):
        return StageVanished(stage)
    if status.state is JobState.REFUSED:
        return read_refusal(attempt, job_id, last_words)
    if status.state is JobState.OUT_OF_MEMORY:
        return StageOutOfMemory(stage, attempt.memory)
    return None if status.state is JobState.DONE else StageBroken(stage, status.exit_code, last_words)
