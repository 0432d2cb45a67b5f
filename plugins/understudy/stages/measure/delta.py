"""How differently two models answer, whether or not either is right."""

import numpy as np

from understudy.contract.reports import ModelDelta
from understudy.stages.measure.answers import Answers

SAME_NUMBER = 0.1  # in standard deviations of the truth; a regression never repeats an answer to the last digit


def model_delta(challenger: Answers, champion: Answers) -> ModelDelta:
    """Compare the answers row by row; for a regression, answers within a tenth of the truth's spread are the same."""
    if not challenger.task.is_classification:
        spread = float(np.std(challenger.actual))
        shift = challenger.predicted - champion.predicted
        return ModelDelta(
            churn_share=float((np.abs(shift) > SAME_NUMBER * spread).mean()), mean_score_shift=float(shift.mean())
        )
    changed = challenger.predicted != champion.predicted
    was_right, is_right = champion.predicted == champion.actual, challenger.predicted == challenger.actual
    ours, theirs = challenger.positive_score, champion.positive_score
    by_class = {
        name: float(changed[champion.predicted == number].mean())
        for number, name in enumerate(champion.classes)
        if (champion.predicted == number).any()
    }
    return ModelDelta(
        churn_share=float(changed.mean()),
        negative_flip_share=float((was_right & ~is_right).mean()),
        positive_flip_share=float((~was_right & is_right).mean()),
        churn_by_class=by_class,
        mean_score_shift=None if ours is None or theirs is None else float((ours - theirs).mean()),
    )
