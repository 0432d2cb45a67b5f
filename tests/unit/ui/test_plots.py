import math
from datetime import datetime, timedelta, timezone

from understudy.ui.plots import BARS_WIDTH, Point, Span, bars, plot

AT = datetime(2026, 3, 1, tzinfo=timezone.utc)


def point(hour: int, value: float, low: float | None = None, high: float | None = None) -> Point:
    return Point(at=AT + timedelta(hours=hour), value=value, low=low, high=high)


def test_one_point_is_no_line() -> None:
    assert plot([]) is None
    assert plot([point(0, 1.0)]) is None
    assert plot([point(0, 1.0), point(1, math.nan)]) is None


def test_a_higher_value_is_drawn_higher_and_a_later_one_further_right() -> None:
    drawn = plot([point(0, 0.1), point(1, 0.9)])
    assert drawn is not None
    (x1, y1), (x2, y2) = drawn.dots
    assert x1 < x2
    assert y1 > y2


def test_a_look_as_of_an_earlier_day_is_drawn_at_that_day_and_nothing_leaves_the_picture() -> None:
    drawn = plot([point(0, 0.1), point(9, 0.9), point(3, 0.5)])
    assert drawn is not None
    assert [x for x, _ in drawn.dots] == sorted(x for x, _ in drawn.dots)
    assert all(drawn.left <= x <= drawn.right for x, _ in drawn.dots)


def test_the_ends_of_a_short_time_are_told_apart() -> None:
    short, long = plot([point(0, 0.1), point(6, 0.9)]), plot([point(0, 0.1), point(240, 0.9)])
    assert short is not None
    assert long is not None
    assert [column.label for column in short.columns] == ["03-01 00:00", "03-01 03:00", "03-01 06:00"]
    assert [column.label for column in long.columns] == ["2026-03-01", "2026-03-06", "2026-03-11"]


def test_equal_values_and_equal_moments_can_be_drawn() -> None:
    assert plot([point(0, 0.5), point(0, 0.5)]) is not None


def test_a_bound_and_a_missing_interval_stay_within_the_picture() -> None:
    drawn = plot([point(0, 0.1, 0.0, math.nan), point(1, 0.2, 0.1, 0.3)], [(0.9, "bound"), (None, "none")])
    assert drawn is not None
    ((place, name),) = drawn.bounds
    assert name == "bound"
    assert drawn.top <= place <= drawn.bottom
    assert "nan" not in drawn.band


def test_reigns_fill_the_width_in_proportion() -> None:
    first = Span(start=AT, end=AT + timedelta(days=1), label="v1", told="")
    second = Span(start=AT + timedelta(days=1), end=AT + timedelta(days=4), label="v2", told="")
    one, two = bars([first, second])
    assert (one.width, two.width) == (BARS_WIDTH / 4, 3 * BARS_WIDTH / 4)
    assert bars([]) == ()
