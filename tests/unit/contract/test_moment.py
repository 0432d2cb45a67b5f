"""Moments are written for people in one way, whoever writes them and in whatever zone they were measured."""

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import understudy
from understudy.contract.moment import moment, moment_to_the_second, stretch

TOKYO = timezone(timedelta(hours=9))
AT = datetime(2026, 3, 1, 1, 30, 5, tzinfo=TOKYO)
BY_HAND = re.compile(r"%H:%M(:%S)?\} UTC|isoformat\(timespec=.seconds.\)")


def test_a_moment_is_written_in_utc_and_says_so() -> None:
    assert moment(AT) == "2026-02-28 16:30 UTC"
    assert moment_to_the_second(AT) == "2026-02-28 16:30:05 UTC"
    assert stretch(AT, AT + timedelta(days=1)) == "2026-02-28 16:30 to 2026-03-01 16:30 UTC"


def test_nobody_else_writes_moments_by_hand() -> None:
    sources = Path(understudy.__file__).parent.rglob("*.py")
    found = {path.name for path in sources if BY_HAND.search(path.read_text(encoding="utf-8"))}
    assert found == {"moment.py"}
