"""The dry run of an answer to what a run asks, as JSON; the answer itself goes to Airflow."""

from typing import Annotated

from fastapi import APIRouter, Query

from understudy.contract.words import Word
from understudy.hooks.connect import connect
from understudy.ui.access import CallerDep
from understudy.ui.answering import Foretold, foretell
from understudy.ui.model_page import airflow_of, known
from understudy.ui.progress import declaration
from understudy.ui.question_reader import read_requests
from understudy.ui.refusals import NotThere

router = APIRouter()


class Option(Word):
    """Name what can be answered."""

    APPROVE = "Approve"
    REJECT = "Reject"


@router.get("/api/models/{model}/answers/{task_id}")
def tell(
    model: str, task_id: str, caller: CallerDep, run: Annotated[str, Query(max_length=300)], option: Option
) -> Foretold:
    """Say what an answer would come to.

    :raises NotThere: where the run does not ask that, or not any more.
    """
    airflow = airflow_of(model)
    known(model, caller, airflow)
    hooks = connect()
    for request in read_requests(hooks, model, airflow, caller, declaration(hooks, model)):
        if (request.question.run_id, request.question.task_id) == (run, task_id):
            return foretell(request, option.value)
    raise NotThere("The run does not ask that any more; look at what was decided.")
