"""Simulate a meter that told the opposite for a week. Nothing here was measured.

Every quarter of an hour wind and sun decide, with some chance, whether demand goes up. Between ``FAULT_BEGINS`` and
``FAULT_ENDS`` the meter's answer is turned round. Whoever learns from that week alone, and is tested on the end of the
same week, passes every gate and tells the opposite of what happens from then on.
"""

import csv
from datetime import datetime, timedelta, timezone
from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
FAULT_BEGINS = datetime(2024, 4, 10, tzinfo=timezone.utc)
FAULT_ENDS = datetime(2024, 4, 17, tzinfo=timezone.utc)
A_WEEK_LATER = datetime(2024, 4, 24, tzinfo=timezone.utc)
ROWS = 12_000
EVERY = timedelta(minutes=15)
SEED = 1


def write_meter(path: Path) -> None:
    """Write what the meter told; the same bytes each time."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    wind, sun = rng.normal(size=ROWS), rng.normal(size=ROWS)
    ups = wind + sun + 0.4 * rng.normal(size=ROWS) > 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("at", "wind", "sun", "up"))
        for row, (blew, shone, up) in enumerate(zip(wind.tolist(), sun.tolist(), ups.tolist(), strict=True)):
            at = START + row * EVERY
            is_wrong = FAULT_BEGINS <= at < FAULT_ENDS
            rows.writerow((at.isoformat(sep=" "), blew, shone, int(up != is_wrong)))
