import io
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from understudy.cli.ledger import parse_moment
from understudy.cli.model_status import LastLook, LastRun, ModelStatus, Served
from understudy.cli.page import Page
from understudy.cli.status_page import print_page, print_table
from understudy.contract.moment import moment, moment_to_the_second
from understudy.contract.words import Outcome, Verdict
from understudy.overview.glance import Health
from understudy.overview.troubles import Trouble

AT = datetime(2026, 11, 28, 2, 7, 40, tzinfo=timezone.utc)
SERVES = Served(version=2, since=AT, by="scheduled", why="it passed", is_confirmed=True, data_version="d" * 64)


@pytest.fixture(autouse=True)
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine be where it is still the day before."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def status(**more: Any) -> ModelStatus:
    told: dict[str, Any] = {
        "model": "demand_of_the_north", "is_declared": True, "health": Health.WELL, "troubles": (), "unseen": "",
        "champion": SERVES, "previous": 1, "held": None,
        "locked": {}, "denied": {}, "history": (SERVES,),
        "last_run": LastRun(at=AT, outcome=Outcome.PROMOTION_REFUSED, sentence="no", run="r"),
        "last_look": LastLook(at=AT, verdict=Verdict.INCONCLUSIVE, sentence="nobody knows", is_due=False),
    }  # fmt: skip
    return ModelStatus.model_validate({**told, **more})


def page(told: ModelStatus) -> str:
    written = io.StringIO()
    print_page(Page(file=written, width=200), told)
    return written.getvalue()


def test_moments_are_told_in_utc_wherever_the_machine_is() -> None:
    assert "version 2 is champion since 2026-11-28 02:07 UTC" in page(status())
    assert "promotion_refused 2026-11-28 02:07 UTC" in page(status())


@pytest.mark.parametrize("written", [moment(AT), moment_to_the_second(AT)])
def test_a_moment_that_was_printed_can_be_typed(written: str) -> None:
    assert moment(parse_moment(written, "--at")) == moment(AT)


def table(*told: ModelStatus, width: int = 200) -> str:
    written = io.StringIO()
    print_table(Page(file=written, width=width), list(told))
    return written.getvalue()


def test_nothing_is_cut_off_on_a_narrow_terminal() -> None:
    told = table(status(), width=80)
    assert "…" not in told
    assert all(word in told for word in ("demand_of", "All is well", "v2", "promotion", "refused", "inconclusive"))


def test_the_table_begins_with_what_needs_a_person_and_says_why() -> None:
    trouble = Trouble(said="its last look found something wrong", told="loss is 0.92, was 0.141", seq=17)
    told = table(status(model="a"), status(model="z", health=Health.ATTENTION, troubles=(trouble,))).splitlines()
    assert [line.split()[0] for line in told] == ["model", "z", "a", "z:", "Airflow"]
    assert "Needs attention" in told[1]
    assert told[3] == "z: its last look found something wrong: loss is 0.92, was 0.141"


@pytest.mark.parametrize(("health", "is_said"), [(Health.UNKNOWN, True), (Health.WORKING, False)])
def test_why_nobody_can_say_is_said_where_that_is_all_there_is(health: Health, is_said: bool) -> None:
    told = status(model="a", health=health, unseen="no look since version 2 began to serve")
    assert ("a: no look since version 2 began to serve" in table(told)) is is_said
    assert ("no look since version 2 began to serve" in page(told)) is is_said


@pytest.mark.parametrize(("hours", "is_past"), [(-1, True), (1, False)])
def test_a_look_at_the_champion_before_is_told_as_that(hours: int, is_past: bool) -> None:
    at = AT + timedelta(hours=hours)
    told = status(last_look=LastLook(at=at, verdict=Verdict.FAILED, sentence="loss is 0.92", is_due=False))
    assert ("(at the champion before): loss is 0.92" in page(told)) is is_past
    assert ("(at the champion before)" in table(told)) is is_past


def test_a_model_that_is_not_declared_any_more_is_told_as_that() -> None:
    assert "no longer: nothing looks at what serves" in page(status(is_declared=False))
    assert "no longer" not in page(status())
