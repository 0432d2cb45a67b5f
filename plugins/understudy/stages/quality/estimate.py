"""What the loss may be while labels are out: a guess from how sure the champion is, and never a measurement."""

from __future__ import annotations

import numpy as np

from understudy.stages.measure.answers import Answers
from understudy.stages.window import Array

MIN_ROWS = 100


def estimate_loss(holdout: Answers, scores: Array | None) -> float | None:
    """Guess the share of wrong answers among rows of which only the champion's probabilities are known.

    How often the champion is right at each level of confidence is learned on its holdout (isotonic regression), and
    averaged over the rows. It follows rows that become harder, and cannot see that the same rows now mean something
    else. Source: Garg et al. 2022, Leveraging unlabeled data to predict out-of-distribution performance; the averaging
    of calibrated confidence. None for a regression, without probabilities and with fewer than 100 rows on a side.
    """
    if scores is None or holdout.scores is None or min(len(holdout), len(scores)) < MIN_ROWS:
        return None
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    curve.fit(holdout.scores.max(axis=1), (holdout.predicted == holdout.actual).astype(np.float64))
    confidence = scores.max(axis=1)
    known = confidence[np.isfinite(confidence)]
    return float(1 - curve.predict(known).mean()) if len(known) >= MIN_ROWS else None
