"""The answers of the admin API: a fact, or a problem with a sentence and a status."""

from pydantic import BaseModel
from starlette.responses import Response

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Problem
from understudy.gateway.errors import (
    AnotherAnswers,
    CanaryOver,
    FilesMissing,
    NotServing,
    NoWayBack,
    OrderStale,
    RequestRefused,
    TakenBack,
    UploadRefused,
)
from understudy.gateway.worker import WorkerRefused


def said(fact: BaseModel) -> Response:
    """Answer with a fact."""
    return Response(fact.model_dump_json(), media_type="application/json")


def problem(status: int, sentence: str, missing: int | None = None) -> Response:
    """Answer with a problem."""
    told = Problem(problem=sentence, missing=missing)
    return Response(told.model_dump_json(), status_code=status, media_type="application/json")


def problem_of(failed: Exception) -> Response:
    """Answer with the problem that a failure is."""
    if isinstance(failed, FilesMissing):
        return problem(424, str(failed), failed.version)
    if isinstance(failed, (RequestRefused, UploadRefused)):
        return problem(failed.status, str(failed))
    if isinstance(failed, OSError):
        return problem(507, f"The gateway cannot write its files ({failed.strerror}). Free its disk and try again.")
    if isinstance(failed, UnderstudyError):
        return problem(_status_of(failed), str(failed))
    return problem(400, "The request ended before its end.")


def _status_of(failed: UnderstudyError) -> int:
    if isinstance(failed, (OrderStale, TakenBack, AnotherAnswers)):
        return 409
    return 422 if isinstance(failed, (WorkerRefused, NotServing, NoWayBack, CanaryOver)) else 503
