"""How long a model takes to answer one row; differs from run to run, so a stage answers it as a timing."""

import time

import numpy as np
import pandas as pd

from understudy.stages.model.scorer import Scorer

WARM_UP = 5
REPEATS = 50


def latency_p95_ms(scorer: Scorer, frame: pd.DataFrame) -> float:
    """Time single-row answers, raw row in and answer out, and give the 95th percentile in milliseconds."""
    rows = [frame.iloc[[place % len(frame)]] for place in range(WARM_UP + REPEATS)]
    taken = []
    for row in rows:
        started = time.perf_counter()
        scorer.predict(row)
        taken.append(time.perf_counter() - started)
    return float(np.quantile(taken[WARM_UP:], 0.95) * 1000)
