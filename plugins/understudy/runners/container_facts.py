"""What the engine says of a container, in our words."""

import json
from datetime import datetime
from typing import Any

from understudy.contract.declared import Fact
from understudy.contract.words import ExitCode, JobState
from understudy.runners.protocol import LABEL, JobStatus

NAME_LABEL, HOME_LABEL, DELIVERY_LABEL = "name", "home", "delivery"


class ContainerId(Fact):
    """Say which container a job is, and how to get at its answer; written as JSON, it is the job's id."""

    container: str
    name: str
    delivery: str

    @classmethod
    def of(cls, container: str, labels: dict[str, str]) -> "ContainerId":
        """Read it off a container's labels."""
        own = own_labels(labels)
        return cls(container=container, name=own[NAME_LABEL], delivery=own[DELIVERY_LABEL])

    @classmethod
    def read(cls, job_id: str) -> "ContainerId":
        """Read a job's id."""
        return cls.model_validate(json.loads(job_id))

    def write(self) -> str:
        """Write the job's id."""
        return self.model_dump_json()


def status_of(facts: dict[str, Any]) -> JobStatus:
    """Read an inspected container."""
    state = facts["State"]
    return JobStatus(
        state=_state_of(state),
        exit_code=state["ExitCode"] if state["Status"] in ("exited", "dead") else None,
        started_at=_moment(state["StartedAt"]),
        labels=own_labels(facts["Config"]["Labels"] or {}),
    )


def own_labels(labels: dict[str, str]) -> dict[str, str]:
    """Give our labels by their short names."""
    prefix = f"{LABEL}."
    return {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}


def _state_of(state: dict[str, Any]) -> JobState:
    if state["Status"] == "created":
        return JobState.CREATED
    if state["Status"] not in ("exited", "dead"):
        return JobState.RUNNING
    # OOMKilled is set for any process of the container; a stage that survived the loss of a helper is well.
    if state["ExitCode"] == ExitCode.OUT_OF_MEMORY or (state["OOMKilled"] and state["ExitCode"]):
        return JobState.OUT_OF_MEMORY
    known = {ExitCode.DONE: JobState.DONE, ExitCode.REFUSED: JobState.REFUSED}
    return known.get(state["ExitCode"], JobState.BROKEN)


def _moment(text: str) -> datetime | None:
    return None if text.startswith("0001") else datetime.fromisoformat(text[:19] + "+00:00")
