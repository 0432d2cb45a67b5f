from datetime import datetime, timedelta, timezone

import pytest
from croniter import croniter_range
from hypothesis import given
from hypothesis import strategies as st

from understudy.contract.declaration.cron import INTERVALS, cron_problem, nearest_cron

FOUR_YEARS = (datetime(2023, 12, 31, 23, 59, tzinfo=timezone.utc), datetime(2028, 1, 1, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    "expression",
    ["0 3 * * 1", "*/15 * * * *", "0 0 1,15 * *", "0 9-17/2 * * mon-fri", "5 4 31 DEC 7", "0 0 * jan-mar,6 sun"],
)
def test_what_airflow_can_read_passes(expression: str) -> None:
    from airflow.sdk import CronTriggerTimetable

    assert cron_problem(expression) is None
    CronTriggerTimetable(expression, timezone="UTC")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("0 3 * *", "five fields"),
        ("@daily", "five fields"),
        ("61 3 * * 1", "'61' is no minute; write 0 to 59"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 3 0 * *", "'0' is no day of the month"),
        ("0 3 * foo *", "'foo' is no month"),
        ("0 3 * * 8", "'8' is no day of the week"),
        ("0 9-5 * * *", "'9-5' is no hour"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("0, * * * *", "'' is no minute"),
    ],
)
def test_what_it_cannot_read_is_named_with_what_fits(expression: str, said: str) -> None:
    problem = cron_problem(expression)
    assert problem is not None
    assert said in problem


@pytest.mark.parametrize(
    "told", [told for told in INTERVALS if told[0] >= timedelta(hours=1)], ids=lambda told: told[2]
)
def test_an_interval_is_as_long_as_it_says(told: tuple[timedelta, str, str]) -> None:
    length, cron, _ = told
    start, end = FOUR_YEARS
    runs = sum(1 for _ in croniter_range(start, end, cron))
    assert (end - start) / runs / length == pytest.approx(1, abs=0.01)


@given(st.integers(min_value=60, max_value=400 * 86_400))
def test_every_interval_has_a_cron_expression_that_is_hardly_rarer(seconds: int) -> None:
    cron, _, is_exact = nearest_cron(timedelta(seconds=seconds))
    assert cron_problem(cron) is None
    (length,) = [length for length, known, _ in INTERVALS if known == cron]
    assert 0.4 < length.total_seconds() / seconds <= 1.1
    assert is_exact == (length.total_seconds() == seconds)


@pytest.mark.parametrize(
    ("days", "cron"),
    [(7, "0 3 * * 1"), (10, "0 3 1,11,21 * *"), (14, "0 3 1,16 * *"), (28, "0 3 1 * *"), (56, "0 3 1 */2 *")],
)
def test_weeks_become_what_comes_closest(days: int, cron: str) -> None:
    assert nearest_cron(timedelta(days=days))[0] == cron
