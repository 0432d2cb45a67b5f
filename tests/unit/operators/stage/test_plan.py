"""Within which limits a stage runs."""

from datetime import timedelta

from understudy.contract.declaration.train import RuntimeSpec
from understudy.operators.stage.plan import resources_of
from understudy.settings import settings


def test_the_nearest_declared_timeout_counts_however_short_it_is() -> None:
    assert resources_of(RuntimeSpec(timeout=timedelta(hours=1)), timedelta(0)).timeout == timedelta(0)
    assert resources_of(RuntimeSpec(timeout=timedelta(hours=1)), None).timeout == timedelta(hours=1)
    assert resources_of(RuntimeSpec(), None).timeout == settings().stage_timeout
