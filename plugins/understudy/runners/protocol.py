"""What every place that can run a stage offers. A Kubernetes runner fits it as well as Docker and a plain process."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import Field, SecretStr

from understudy.contract.declared import Fact
from understudy.contract.stage import StageRequest
from understudy.contract.words import Isolation, JobState

LABEL = "org.understudy"
REQUEST_PATH = "/understudy/request.json"
INPUTS_PATH = "/understudy/inputs"
OUTPUTS_PATH = "/understudy/outputs"
RESULT_PATH = "/airflow/xcom/return.json"


class Resources(Fact):
    """Bound what a stage may use."""

    memory_bytes: int = Field(gt=0)
    cpus: float = Field(gt=0)
    shm_bytes: int = Field(default=64 << 20, gt=0)
    gpus: int = 0
    pids: int = 512
    timeout: timedelta


class Job(Fact):
    """Describe a stage to run, independent of where.

    ``name`` is deterministic (model, run, task, map index), so that a second submitter finds the first one's container.
    ``inputs`` maps a name to the worker's own path; it appears read-only at ``<INPUTS_PATH>/<name>``. ``outputs`` is
    the worker's folder that receives what the stage wrote. ``secrets`` reach the stage's standard input as one JSON
    object and are stored nowhere.
    """

    name: str
    request: StageRequest
    image: str
    inputs: dict[str, Path]
    outputs: Path
    resources: Resources
    needs_network: bool = False
    labels: dict[str, str] = Field(default_factory=dict)
    """dag_id, run_id, task_id, map_index, try_number; prefixed by LABEL where they are stored."""


class LogLine(Fact):
    """Carry one line of a stage's output; ``level`` is a :mod:`logging` level."""

    level: int
    text: str


class JobStatus(Fact):
    """Say how a job is doing."""

    state: JobState
    exit_code: int | None = None
    started_at: datetime | None = None
    """By the clock of where it runs."""
    labels: dict[str, str] = Field(default_factory=dict)
    """As the job was submitted with."""


class Runner(Protocol):
    """Run stages somewhere. A job id is JSON text that survives the death of the submitter."""

    isolation: ClassVar[Isolation]

    def find(self, name: str) -> str | None:
        """Return the id of the job of that name, if one is left anywhere."""
        ...

    def submit(self, job: Job, secrets: Mapping[str, SecretStr]) -> str:
        """Start a job and return its id; remove what is left of an earlier one of that name first."""
        ...

    def status(self, job_id: str) -> JobStatus:
        """Ask how a job is doing."""
        ...

    def stream_logs(self, job_id: str) -> Iterator[LogLine]:
        """Yield the output line by line, from its beginning, until the job ends."""
        ...

    def result(self, job_id: str, outputs: Path) -> bytes:
        """Fetch the result file (at most RESULT_LIMIT_BYTES) and bring the written files to ``outputs``."""
        ...

    def kill(self, job_id: str) -> None:
        """End a job now, within three seconds, and remove it; do nothing if it is gone."""
        ...

    def remove(self, job_id: str) -> None:
        """Remove an ended job and its volumes; do nothing if it is gone."""
        ...

    def image_digest(self, image: str) -> str:
        """Return what identifies the exact code that the image holds."""
        ...

    def leftovers(self) -> list[dict[str, str]]:
        """List the jobs of this deployment that exist, by their labels and id, for the reaper."""
        ...
