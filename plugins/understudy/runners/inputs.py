"""The files that a stage is given."""

from understudy.runners.errors import InputGone
from understudy.runners.links import refuse_links_out
from understudy.runners.protocol import Job


def require_inputs(job: Job) -> None:
    """Look whether every input is there and keeps to itself, before anything is made for the job.

    :raises InputGone: naming the first one that is not there.
    :raises LinkLeadsOut: naming the first link that leaves its folder.
    """
    for name, path in job.inputs.items():
        if not path.exists():
            raise InputGone(name, path, "does not exist")
        refuse_links_out(path)
