"""What a stage finds in its environment, wherever it runs. Never a secret."""

from understudy.contract.entry_point import SECRETS_ENV, TIMEOUT_ENV
from understudy.runners.protocol import Job

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
FIXED = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
ORPHAN_GRACE_S = 60
"""How long after its time limit a stage lives whose worker, which should have killed it, is gone."""


def stage_environment(job: Job, *, has_secrets: bool) -> dict[str, str]:
    """Give the variables that make a stage behave the same everywhere.

    As many threads as CPUs: libraries that count the machine's processors fight for the few that they may use.
    """
    threads = str(max(1, int(job.resources.cpus)))
    limit = {TIMEOUT_ENV: str(job.resources.timeout.total_seconds() + ORPHAN_GRACE_S)}
    return {**FIXED, **limit, **dict.fromkeys(THREADS, threads), **({SECRETS_ENV: "1"} if has_secrets else {})}


def secrets_line(secrets: dict[str, str]) -> bytes:
    """Write the secrets as the one line that a stage reads."""
    import json

    return json.dumps(secrets).encode() + b"\n"
