"""Ask Airflow, which tells a trigger and no task, whether somebody has answered a task's question."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail
from airflow.triggers.base import BaseTrigger, TriggerEvent

from understudy.operators.settle import settle

TOLD = {"chosen_options", "params_input", "responded_at", "responded_by_user"}


class StandingAnswerTrigger(BaseTrigger):
    """Say once, soon, what was answered to the question that Airflow shows; an empty event where nothing was.

    :param ti_id: the task instance that asks.
    """

    def __init__(self, ti_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Say how another triggerer makes the same trigger."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"ti_id": self.ti_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, as Airflow gives it to a task whose question is answered while it waits."""
        await settle(time.monotonic())
        detail = await asyncio.to_thread(get_hitl_detail_content_detail, UUID(self.ti_id))
        told = detail.model_dump(include=TOLD) if detail.response_received else {}
        yield TriggerEvent(told)
