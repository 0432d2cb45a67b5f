"""What a failed run of another DAG has left that says why it failed."""

from collections.abc import Mapping

from understudy.hooks.conditions.known_runs import FAILED
from understudy.operators.decisions import PROBLEM_KEY, REFUSAL_KEY
from understudy.operators.other_runs import OtherRuns


def why_failed(runs: OtherRuns, dag_id: str, run_id: str, tasks: Mapping[str, str | None]) -> str:
    """Give the sentence with which a task ended; where none is left, say which tasks ended without one."""
    failed = _failed(tasks)
    told = (runs.left(dag_id, run_id, task, PROBLEM_KEY) for task in failed)
    who = f"its task{'s' * (len(failed) > 1)} {' and '.join(failed)}" if failed else "it"
    be = "were" if len(failed) > 1 else "was"
    unsaid = f"{who} {be} killed, ran out of time, or {be} failed by a person"
    return next((str(problem) for problem in told if problem), unsaid)


def refusal_of(runs: OtherRuns, dag_id: str, run_id: str, tasks: Mapping[str, str | None]) -> str | None:
    """Give the sentence with which a task was told no; None where none was."""
    told = (runs.left(dag_id, run_id, task, REFUSAL_KEY) for task in _failed(tasks))
    return next((str(refusal) for refusal in told if refusal), None)


def _failed(tasks: Mapping[str, str | None]) -> list[str]:
    return [task for task, state in tasks.items() if state == FAILED]
