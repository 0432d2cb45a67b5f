"""What live traffic says of a new champion beside the one before."""

import pytest

from tests.unit.contract.live.rehearsal_reports import MB, answer, gates, guard, losses, report, tally
from understudy.contract.judges.rehearsal import judge_probation, judge_rehearsal
from understudy.contract.serving import Tally
from understudy.contract.words import MirrorLoss, Verdict

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE


def test_a_new_champion_is_measured_by_the_one_before() -> None:
    for worse in ({"champion": tally(ms=20)}, {"champion": tally(rss=900 * MB)}, {"champion": tally(errors=50)}):
        assert judge_probation(report(**worse), guard()).verdict is FAILED
        assert judge_rehearsal(report(**worse), gates()).verdict is PASSED
    for better in ({"mirror": tally(ms=20)}, {"mirror": tally(rss=900 * MB)}):
        assert judge_probation(report(**better), guard()).verdict is PASSED


def test_losses_count_against_the_new_champion() -> None:
    assert judge_probation(report(blocks=losses(0.1)), guard()).verdict is FAILED
    assert judge_probation(report(blocks=losses(0.3)), guard()).verdict is PASSED


def test_what_the_one_before_fails_at_as_well_is_no_breach() -> None:
    bad_input = report(champion=tally(errors=300), mirror=tally(errors=300))
    judgement = judge_probation(bad_input, guard())
    assert judgement.verdict is INCONCLUSIVE
    assert "did no better" in judgement.sentence


def test_a_champion_that_answers_nobody_is_a_breach_though_nothing_could_be_compared() -> None:
    dead = report(champion=Tally(requests=1000, errors=1000), pairs=0, rows=0, agreeing_rows=0, blocks=())
    assert judge_probation(dead, guard()).verdict is FAILED


def test_copies_that_the_one_before_lost_do_not_count_against_the_champion() -> None:
    judgement = judge_probation(report(unpaired={MirrorLoss.QUEUE_FULL: 400}, pairs=600), guard())
    assert judgement.verdict is PASSED
    assert answer(judgement, "errors").sentence == "version 3 lost 0 of 1,000 requests (0.00%)"


@pytest.mark.parametrize("errors", [-1, 1001])
def test_an_impossible_number_of_errors_is_no_breach_and_no_pass(errors: int) -> None:
    champion = tally().model_copy(update={"errors": errors})
    judgement = judge_probation(report(champion=champion), guard())
    assert answer(judgement, "errors").sentence == "it is unknown how many requests were lost"
    assert judgement.verdict is INCONCLUSIVE
