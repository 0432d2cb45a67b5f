"""What rollback drills measured."""

from datetime import timedelta
from typing import Any

from understudy.contract.drill import DrillReport, judge_drill
from understudy.contract.judgement import Judgement


def drilled(**measured: Any) -> Judgement:
    known = {"good": 1, "bad": 2, "detection_s": 6.5, "reversal_s": 0.05, "requests": 300, "lost": 0}
    return judge_drill(DrillReport.model_validate(known | measured), timedelta(minutes=2), timedelta(seconds=5))
