"""How long a retraining may take by its declaration, work and waiting together. Pure."""

from datetime import timedelta

from understudy.contract.declaration.spec import ModelSpec

SLACK = timedelta(minutes=10)
"""How much longer than its watch a trigger may take; a triggerer that was down has to catch up."""


LONGEST_LOOK = timedelta(hours=6)
"""After how long Airflow ends a look; the next one is due by then anyway."""


def longest_run(spec: ModelSpec) -> timedelta:
    """Give after how long Airflow ends a run; waiting for live traffic or for people is no work that takes too long."""
    rehearsal = spec.shadow.deadline + SLACK if spec.shadow else timedelta()
    canary = spec.canary.longest + len(spec.canary.shares) * SLACK if spec.canary else timedelta()
    people = spec.promotion.persons * (spec.promotion.timeout + SLACK)
    probation = spec.guard.probation + SLACK if spec.guard else timedelta()
    return spec.retrain.timeout + rehearsal + canary + people + probation
