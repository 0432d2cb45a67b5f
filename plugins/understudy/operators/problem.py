"""Hand the sentence that a task ended with to the task that concludes the run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.errors import UnderstudyError
from understudy.operators.decisions import PROBLEM_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context


@contextmanager
def telling(context: "Context") -> Iterator[None]:
    """Keep our own errors beside the task's result; anything else is a bug, which only the log can tell."""
    try:
        yield
    except AirflowSkipException:
        raise
    except UnderstudyError as problem:
        context["ti"].xcom_push(key=PROBLEM_KEY, value=str(problem))
        raise
