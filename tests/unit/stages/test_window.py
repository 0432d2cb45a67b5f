"""What a window says of its rows."""

from datetime import datetime, timezone

import numpy as np
import pandas as pd

from understudy.stages.window import Window


def test_its_ends_are_told_in_microseconds_however_fine_its_clock_is() -> None:
    times = pd.Series(pd.to_datetime([1_700_000_000_000_000_001, 1_700_000_000_000_002_999], utc=True))
    window = Window(pd.DataFrame({"x": [1, 2]}), np.array([0, 1]), times)
    begin = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert (window.first_time, window.last_time) == (begin, begin.replace(microsecond=2))


def test_rows_without_dates_have_no_ends() -> None:
    window = Window(pd.DataFrame({"x": [1]}), np.array([0]), None)
    assert (window.first_time, window.last_time) == (None, None)
