import pytest

from understudy.contract.cron import cron_problem


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
