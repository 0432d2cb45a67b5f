"""Start a stage once, find it again after the worker's death, watch it to its end, and clean up after it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import ResumableJobMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic import JsonValue

from understudy.contract.declared import format_duration
from understudy.contract.stage import StageResult
from understudy.contract.words import JobState
from understudy.hooks.errors import Refused
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.stage.answer import read_answer, read_refusal
from understudy.operators.stage.attempt import REQUEST_LABEL, Attempt
from understudy.operators.stage.plan import runner_of
from understudy.operators.stage.watch import end_soon, watch
from understudy.operators.stage_errors import (
    ResultUnusable,
    StageBroken,
    StageOutOfMemory,
    StageRefused,
    StageTimedOut,
    StageVanished,
)
from understudy.runners.errors import ImageWithoutEntryPoint, ResultMissing, ResultTooLarge, RunnerError, UnsafeOutputs

if TYPE_CHECKING:
    from airflow.sdk import Context

ENDED_BADLY = (JobState.REFUSED, JobState.OUT_OF_MEMORY)
CANNOT_START = (126, 127)
BEGUN_KEY = "understudy_begun"


class ResumableStage(ResumableJobMixin):
    """Answer what Airflow's mixin asks about the job of the present attempt, which ``execute`` sets."""

    external_id_key = "understudy_job"
    stage: str
    _attempt: Attempt | None = None

    def refusal(self, refused: StageRefused) -> Exception:
        """Say how the task ends when the stage refuses its input."""
        return refused

    def submit_job(self, context: "Context") -> JsonValue:
        """Start the job, unless a try that died before it could note the id did so.

        What is about to be asked is noted first: so an answer that was never concluded is told from the remains of a
        task that a person cleared.
        """
        attempt = self._require_attempt()
        store, asked = context.get("task_state_store"), attempt.job.labels[REQUEST_LABEL]
        left = attempt.runner.find(attempt.job.name)
        if left is not None:
            status = attempt.runner.status(left)
            is_unconcluded = store is not None and store.get(BEGUN_KEY) == asked
            if attempt.is_about(status) and (
                status.state is JobState.RUNNING or (is_unconcluded and self._has_answered(status.state.value))
            ):
                self.log.info("Attaching to %s, which an earlier try started", attempt.job.name)
                return {"job": left, "isolation": attempt.isolation}
        if store is not None:
            store.set(BEGUN_KEY, asked)
        return {"job": attempt.runner.submit(attempt.job, attempt.secrets), "isolation": attempt.isolation}

    def get_job_status(self, external_id: JsonValue, context: "Context") -> str:  # noqa: ARG002 - the mixin's signature
        """Ask how the noted job is doing; one that was asked something else is ended and counts as gone."""
        attempt = self._require_attempt()
        noted = cast("dict[str, str]", external_id)
        if noted["isolation"] != attempt.isolation:
            attempt.runner, attempt.isolation = runner_of(noted["isolation"]), noted["isolation"]
        status = attempt.runner.status(noted["job"])
        if status.state is not JobState.GONE and not attempt.is_about(status):
            attempt.runner.kill(noted["job"])
            return JobState.GONE.value
        return status.state.value

    def is_job_active(self, status: str) -> bool:
        """Take up a running job, and one that ended with an answer that polling turns into the right error."""
        return status == JobState.RUNNING.value or status in {state.value for state in ENDED_BADLY}

    def is_job_succeeded(self, status: str) -> bool:
        """Take up a finished job whose result was never concluded."""
        return status == JobState.DONE.value

    def poll_until_complete(self, external_id: JsonValue, context: "Context") -> None:
        """Pass the log on, line by line, until the stage ends; raise unless it is done."""
        attempt = self._require_attempt()
        attempt.job_id = job_id = cast("dict[str, str]", external_id)["job"]
        status, last_words = watch(attempt, job_id, self.log)
        if status.state is JobState.DONE and not attempt.is_timed_out:
            return
        stage = str(self.stage)
        if attempt.is_timed_out:
            self._clean_up(context, attempt)
            raise StageTimedOut(stage, format_duration(attempt.job.resources.timeout))
        if status.state in (JobState.GONE, JobState.CREATED) or attempt.is_killed:
            raise StageVanished(stage)
        refused = read_refusal(attempt, job_id, last_words) if status.state is JobState.REFUSED else None
        self._clean_up(context, attempt)
        if refused is not None:
            context["ti"].xcom_push(key=REFUSAL_KEY, value=refused.message)
            raise self.refusal(refused)
        if status.state is JobState.OUT_OF_MEMORY:
            raise StageOutOfMemory(stage, attempt.memory)
        if status.exit_code in CANNOT_START:
            raise ImageWithoutEntryPoint(attempt.job.image, f"could not start its command ({last_words})")
        raise StageBroken(stage, status.exit_code, last_words)

    def get_job_result(self, external_id: JsonValue, context: "Context") -> None:  # noqa: ARG002 - the mixin's signature
        """Note which job to collect; the result is read once, whichever way the mixin took to the end."""
        self._require_attempt().job_id = cast("dict[str, str]", external_id)["job"]

    def on_kill(self) -> None:
        """Remove the stage before Airflow ends this process, even if the engine is slow to answer."""
        if self._attempt is not None:
            end_soon(self._attempt, self.log)

    def _collect(self, context: "Context", conclude: Callable[[StageResult], Any]) -> Any:
        attempt = self._require_attempt()
        if attempt.job_id is None:
            raise StageVanished(str(self.stage))
        try:
            result = read_answer(attempt, attempt.job_id)
        except (ResultUnusable, ResultMissing, ResultTooLarge, UnsafeOutputs):
            self._clean_up(context, attempt)
            raise
        try:
            answer = conclude(result)
        except (AirflowSkipException, AirflowFailException, Refused):  # no further try comes for it
            self._clean_up(context, attempt)
            raise
        except Exception:
            # A dead registry must not cost a training: the job stays for the next try, if there is one.
            if context["ti"].try_number > context["ti"].max_tries:
                self._clean_up(context, attempt)
            raise
        self._clean_up(context, attempt)
        return answer

    def _clean_up(self, context: "Context", attempt: Attempt) -> None:
        """Forget the job, so that clearing the task runs it again, and remove what is left of it."""
        store = context.get("task_state_store")
        if store is not None:
            store.delete(self.external_id_key)
            store.delete(BEGUN_KEY)
        try:
            if attempt.job_id and not attempt.is_timed_out:
                attempt.runner.remove(attempt.job_id)
        except RunnerError as unreachable:  # the answer is safe; housekeeping removes the rest
            self.log.warning("The ended stage could not be removed: %s", unreachable)

    def _has_answered(self, status: str) -> bool:
        return self.is_job_active(status) or self.is_job_succeeded(status)

    def _require_attempt(self) -> Attempt:
        if self._attempt is None:
            raise RuntimeError("the mixin was called outside of execute()")
        return self._attempt
