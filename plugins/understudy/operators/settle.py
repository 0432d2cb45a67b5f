"""Let Airflow's scheduler notice that a task waits, before it is told that the wait is over."""

import asyncio
import time

SETTLES_S = 5.0
"""A task that is queued again before the scheduler has seen the end of the process that began to wait is taken for one
that was killed, and costs a retry: https://airflow.apache.org/docs/apache-airflow/stable/troubleshooting.html."""


async def settle(began: float) -> None:
    """Wait until enough time has passed since ``began``, by :func:`time.monotonic`, when the trigger was started."""
    await asyncio.sleep(max(0.0, began + SETTLES_S - time.monotonic()))
