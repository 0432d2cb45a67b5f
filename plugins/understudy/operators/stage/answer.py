"""Read what a stage answered, and believe nothing of it unseen."""

from pydantic import ValidationError

from understudy.contract.stage import StageResult, artefact_of
from understudy.operators.stage.attempt import Attempt
from understudy.operators.stage_errors import ResultUnusable, StageRefused
from understudy.runners.errors import RunnerError


def read_answer(attempt: Attempt, job_id: str) -> StageResult:
    """Collect a finished stage's result and files, keep the result as evidence, and verify every output's digest.

    :raises ResultUnusable: when the answer is not what the request asked for, or not what it says it is.
    """
    stage, outputs = attempt.job.request.stage, attempt.job.outputs
    body = attempt.runner.result(job_id, outputs)
    outputs.with_name(f"{outputs.name}.result.json").write_bytes(body)
    try:
        result = StageResult.model_validate_json(body)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise ResultUnusable(stage, f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from invalid
    if result.stage != stage:
        raise ResultUnusable(stage, f"it answers for stage {result.stage!r}")
    for name, artefact in result.outputs.items():
        path = outputs / artefact.path
        if not path.exists() or artefact_of(path, outputs).sha256 != artefact.sha256:
            raise ResultUnusable(stage, f"output {name!r} is not the file that was described")
    return result


def read_refusal(attempt: Attempt, job_id: str, last_words: str) -> StageRefused:
    """Give a refusal's own sentence, or the last line of the log where it left none."""
    stage = attempt.job.request.stage
    try:
        refusal = StageResult.model_validate_json(attempt.runner.result(job_id, attempt.job.outputs)).refusal
    except (RunnerError, ValidationError):
        refusal = None  # the exit code alone says that it was refused
    if refusal is None:
        return StageRefused(stage, last_words or "it left no reason", None)
    return StageRefused(stage, refusal.message, refusal.field)
