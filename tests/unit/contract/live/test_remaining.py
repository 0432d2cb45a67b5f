"""How long a trial still takes: by the pace so far, never made up, and capped by its deadline."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.contract.judgement import GateResult, Judgement, Lack
from understudy.contract.live.contest import unanswered
from understudy.contract.live.remaining import Remaining, remaining, spoken
from understudy.contract.words import Lacking, Verdict

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LABELS = Lack(of=Lacking.LABELS, so_far=950, more=1900)
PASSED = GateResult(gate="errors", verdict=Verdict.PASSED, bound="few", sentence="few were lost")


def judged(*lacks: Lack, verdict: Verdict = Verdict.INCONCLUSIVE) -> Judgement:
    return Judgement(verdict=verdict, results=(PASSED, *(unanswered("quality", "enough", "too few", x) for x in lacks)))


def found(
    *lacks: Lack, watched: timedelta = 2 * HOUR, left: timedelta | None = None, requests: timedelta = HOUR
) -> Remaining:
    collected = {Lacking.LABELS: watched, Lacking.BLOCKS: watched, Lacking.REQUESTS: requests}
    told = remaining(judged(*lacks), collected, left)
    assert told is not None
    return told


def test_what_comes_on_at_the_pace_so_far_takes_as_long_as_that() -> None:
    told = found(LABELS, left=2 * DAY)
    assert told.takes == 4 * HOUR
    assert told.short == "needs about 1,900 more labels, ~4 h"
    assert told.sentence == "needs about 1,900 more labels, ~4 h; 950 came in 2 h, 475 an hour"


@pytest.mark.parametrize(("so_far", "watched"), [(0, 3 * HOUR), (5, timedelta()), (5, -HOUR)])
def test_without_a_pace_there_is_no_estimate_and_that_is_said(so_far: int, watched: timedelta) -> None:
    told = found(LABELS.model_copy(update={"so_far": so_far}), watched=watched)
    assert told.takes is None
    assert told.short == "needs about 1,900 more labels, no pace yet"
    assert told.sentence.endswith("so nobody can say when")
    assert "an hour" not in told.sentence


@pytest.mark.parametrize(
    ("left", "short"),
    [
        (4 * HOUR, "needs about 1,900 more labels, ~4 h"),
        (3 * HOUR, "needs about 1,900 more labels, ~4 h, but its time is up in 3 h"),
        (timedelta(), "needs about 1,900 more labels, and its time is up"),
        (-HOUR, "needs about 1,900 more labels, and its time is up"),
        (None, "needs about 1,900 more labels, ~4 h"),
    ],
    ids=["just in time", "too slow", "over", "long over", "nobody knows"],
)
def test_the_deadline_caps_what_is_hoped_for(left: timedelta | None, short: str) -> None:
    assert found(LABELS, left=left).short == short


def test_of_several_needs_the_slowest_is_told() -> None:
    slow = Lack(of=Lacking.REQUESTS, so_far=1, more=100)
    assert found(LABELS, slow).lack == slow
    unknown = Lack(of=Lacking.BLOCKS, so_far=0, more=5)
    assert found(LABELS, slow, unknown).lack == unknown


def test_each_kind_of_evidence_has_the_time_in_which_it_came() -> None:
    requests = Lack(of=Lacking.REQUESTS, so_far=100, more=100)
    assert found(requests, watched=10 * HOUR, requests=MINUTE).takes == MINUTE


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.FAILED])
def test_what_is_decided_needs_nothing_more(verdict: Verdict) -> None:
    assert remaining(judged(LABELS, verdict=verdict), {Lacking.LABELS: HOUR}) is None


def test_what_more_of_the_same_would_not_answer_has_no_estimate() -> None:
    assert remaining(judged(), {Lacking.LABELS: HOUR}) is None


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(seconds=3), "1 min"),
        (-HOUR, "1 min"),
        (89 * MINUTE, "89 min"),
        (90 * MINUTE, "2 h"),
        (47 * HOUR, "47 h"),
        (2 * DAY, "2 d"),
        (1900 * DAY, "1,900 d"),
    ],
)
def test_lengths_are_as_rough_as_estimates(length: timedelta, told: str) -> None:
    assert spoken(length) == told


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.timedeltas(), st.none() | st.timedeltas())
def test_no_numbers_are_too_strange_to_be_told(
    so_far: int, more: int, watched: timedelta, left: timedelta | None
) -> None:
    told = found(Lack(of=Lacking.LABELS, so_far=so_far, more=more), watched=watched, left=left)
    assert told.short
    assert told.sentence


@pytest.mark.parametrize(
    ("left", "is_too_slow"), [(None, False), (4 * HOUR, False), (3 * HOUR, True), (timedelta(), True), (-HOUR, True)]
)
def test_what_takes_longer_than_is_left_is_too_slow(left: timedelta | None, is_too_slow: bool) -> None:
    assert found(LABELS, left=left).is_too_slow is is_too_slow


def test_where_the_time_is_up_even_what_has_no_pace_is_too_slow() -> None:
    none_yet = LABELS.model_copy(update={"so_far": 0})
    assert found(none_yet, left=timedelta()).is_too_slow
    assert not found(none_yet, left=HOUR).is_too_slow


def test_what_nobody_watched_is_not_waited_for() -> None:
    blocks = Lack(of=Lacking.BLOCKS, so_far=1, more=99)
    told = remaining(judged(blocks, LABELS), {Lacking.LABELS: HOUR})
    assert told is not None
    assert told.lack == LABELS
    assert remaining(judged(blocks), {Lacking.LABELS: HOUR}) is None
