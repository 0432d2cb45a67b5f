"""Fail, saying which declaration is broken and where."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from understudy.contract.errors import UnderstudyError

if TYPE_CHECKING:
    from airflow.sdk import Context


class BrokenDeclaration(UnderstudyError, AirflowFailException):
    """A model cannot be retrained because its declaration cannot be used."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} (run `understudy check` after the repair)")


class BrokenSpecOperator(BaseOperator):
    """Stand in for a model whose ``model.yaml`` cannot be used.

    :param problem: what is wrong, with file, line and field.
    """

    ui_color = "#fbe3e4"

    def __init__(self, *, problem: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problem = problem

    def execute(self, context: "Context") -> None:  # noqa: ARG002 - Airflow's signature
        """Fail with the sentence that names the problem."""
        raise BrokenDeclaration(self.problem)
