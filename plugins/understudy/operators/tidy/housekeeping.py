"""Remove jobs that nobody waits for any more."""

from collections.abc import Callable, Mapping

from understudy.runners.protocol import Runner

NEEDED = ("dag_id", "run_id", "task_id", "map_index")


def reap(runner: Runner, is_alive: Callable[[Mapping[str, str]], bool]) -> list[str]:
    """Kill and remove every job of this deployment whose task is not alive; return their names.

    :param is_alive: tells from a job's labels (dag_id, run_id, task_id, map_index, try_number) whether its task may
        still come back to it: it is queued, running, deferred or waits for a retry. Must say yes when it cannot tell.
    """
    reaped = []
    for labels in runner.leftovers():
        if all(name in labels for name in NEEDED) and not is_alive(labels):
            runner.kill(labels["id"])
            reaped.append(labels["name"])
    return reaped
