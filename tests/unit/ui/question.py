"""A question before a promotion, as Airflow lists it."""

from tests.unit.overview.demand import AT, MODEL
from understudy.overview.airflow_state import Question

RUN = "manual__2026-03-01T03:00:00+00:00"


def question(task_id: str = "approve", assigned: tuple[str, ...] = ()) -> Question:
    return Question(
        dag_id=f"retrain__{MODEL}", run_id=RUN, task_id=task_id, map_index=-1, subject="May it?",
        options=("Approve", "Reject"), params={"reason": ""}, assigned=assigned, since=AT,
    )  # fmt: skip
