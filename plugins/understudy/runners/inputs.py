"""The files that a stage is given."""

from understudy.runners.errors import InputGone
from understudy.runners.protocol import Job


def require_inputs(job: Job) -> None:
    """Look whether every input is there, before anything is made for the job.

    :raises InputGone: naming the first one that is not.
    """
    for name, path in job.inputs.items():
        if not path.exists():
            raise InputGone(name, path, "does not exist")
