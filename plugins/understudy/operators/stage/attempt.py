"""One try at running a stage: the job, where it runs, and what is known of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from understudy.contract.declared import sha256_of
from understudy.runners.protocol import Job, JobStatus, Runner
from understudy.workspace import RunFolder

UNSAFE = re.compile(r"[^a-zA-Z0-9_.-]+")
REQUEST_LABEL = "request"
PLACE_LABEL = "place"
"""The label of a stage whose run no scheduler knows: where its process tells by a lock that it goes on."""


@dataclass
class Attempt:
    """Hold what a task knows while it runs its stage."""

    runner: Runner
    job: Job
    secrets: Mapping[str, SecretStr]
    folder: RunFolder
    isolation: str
    memory: str
    job_id: str | None = None
    is_timed_out: bool = False
    is_killed: bool = False

    def is_about(self, status: JobStatus) -> bool:
        """Tell whether an existing job answers this very request; another's answer must not be taken for ours."""
        return status.labels.get(REQUEST_LABEL) == self.job.labels[REQUEST_LABEL]


def job_name(deployment: str, model: str, where: Mapping[str, str]) -> str:
    """Name a job so that every try of the same task finds it, and nobody else's task does."""
    identity = [deployment, model, where["dag_id"], where["run_id"], where["task_id"], where["map_index"]]
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:16]
    return f"understudy-{UNSAFE.sub('_', model)[:40]}-{UNSAFE.sub('_', where['task_id'])[:40]}-{digest}"


def request_key(request: dict[str, Any], image: str) -> str:
    """Digest what a job was asked to do, and in which image."""
    return sha256_of([request, image])[:32]
