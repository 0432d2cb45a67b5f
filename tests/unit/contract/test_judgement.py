"""What a judgement says in one sentence, and that a number that is none is missing."""

import math

import pytest

from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.words import Verdict


def results(*verdicts: Verdict) -> tuple[GateResult, ...]:
    return tuple(
        GateResult(gate=f"g{place}", verdict=verdict, bound="b", sentence=f"s{place}")
        for place, verdict in enumerate(verdicts)
    )


@pytest.mark.parametrize(
    ("verdict", "given", "told"),
    [
        (Verdict.PASSED, results(*[Verdict.PASSED] * 2), "all 2 questions passed"),
        (Verdict.FAILED, results(Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE), "s1"),
        (Verdict.FAILED, results(*[Verdict.FAILED] * 3), "s0; s1; s2"),
        (Verdict.INCONCLUSIVE, results(*[Verdict.INCONCLUSIVE] * 4), "s0; s1; s2; and 1 more"),
        (Verdict.INCONCLUSIVE, (), "nothing was asked"),
    ],
    ids=["passed", "one decides", "three decide", "four decide", "none"],
)
def test_it_says_what_decided(verdict: Verdict, given: tuple[GateResult, ...], told: str) -> None:
    judgement = Judgement(verdict=verdict, results=given)
    assert (judgement.sentence, judgement.rubber_stamped) == (told, False)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, None])
def test_a_number_that_cannot_be_used_is_missing(number: float | None) -> None:
    told = GateResult(
        gate="g", verdict=Verdict.INCONCLUSIVE, measured=number, low=number, high=number, bound="b", sentence="s"
    )
    assert (told.measured, told.low, told.high) == (None, None, None)
