"""Watch a stage that runs: pass its log on, hold it to its time limit, end it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from understudy.contract.words import JobState
from understudy.operators.stage.attempt import Attempt
from understudy.runners.errors import RunnerError
from understudy.runners.protocol import JobStatus

KILL_WITHIN_S = 4.5  # Airflow sends SIGKILL five seconds after SIGTERM
LOOK_EVERY_S = 0.1
WORTH_QUOTING = 30


def watch(attempt: Attempt, job_id: str, log: Any) -> tuple[JobStatus, str]:
    """Log each line as it comes until the stage ends; return how it ended and its last warning or error."""
    last_words = ""
    with _time_limit(attempt, job_id, log):
        for line in attempt.runner.stream_logs(job_id):
            log.log(min(50, max(10, line.level // 10 * 10)), "%s", line.text)
            last_words = line.text if line.level >= WORTH_QUOTING else last_words
        status = attempt.runner.status(job_id)
        while status.state is JobState.RUNNING:  # the last line arrives a moment before the end is known
            time.sleep(LOOK_EVERY_S)
            status = attempt.runner.status(job_id)
    return status, last_words


def end_soon(attempt: Attempt, log: Any) -> None:
    """Remove the stage; wait no longer than Airflow lets a killed task live, however slow the engine is."""
    attempt.is_killed = True
    killer = threading.Thread(target=_end, args=(attempt, log), daemon=True)
    killer.start()
    killer.join(KILL_WITHIN_S)


def _end(attempt: Attempt, log: Any) -> None:
    try:
        job_id = attempt.job_id or attempt.runner.find(attempt.job.name)
        if job_id:
            attempt.runner.kill(job_id)
    except RunnerError as unreachable:  # nobody is left to tell; housekeeping finds the job by its labels
        log.warning("The stage could not be removed: %s", unreachable)


@contextmanager
def _time_limit(attempt: Attempt, job_id: str, log: Any) -> Iterator[None]:
    """End the stage when its time is up, counted from its own start, also where an earlier try started it."""
    begun = attempt.runner.status(job_id).started_at
    spent = (datetime.now(tz=timezone.utc) - begun).total_seconds() if begun else 0.0

    def end() -> None:
        attempt.is_timed_out = True
        _end(attempt, log)

    timer = threading.Timer(max(0.0, attempt.job.resources.timeout.total_seconds() - spent), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if attempt.is_timed_out:
            timer.join(KILL_WITHIN_S)  # the log ends a moment before the stage is removed
