"""Clear the sandbox after a drill that was killed together with its clearing, as by whoever lost the whole machine."""

from understudy.contract.drill import DRILL_DAG
from understudy.contract.errors import UnderstudyError
from understudy.hooks.connect import Hooks
from understudy.operators.drill.sandbox import clear_sandbox, left_by_drills
from understudy.operators.other_runs import OtherRuns


def clear_after_killed_drills(hooks: Hooks, runs: OtherRuns, actor: str) -> list[str]:
    """Clear it where nobody drills; return what could not be, one sentence each."""
    if hooks.gateways is None or not left_by_drills(hooks) or runs.is_any_running(DRILL_DAG):
        return []
    try:
        clear_sandbox(hooks, hooks.gateways, actor, run=None)
    except UnderstudyError as problem:
        return [str(problem)]
    return []
