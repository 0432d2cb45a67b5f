"""Whoever judges, a number has a name of its own and an interval, or what is said in its place."""

import pytest

from tests.unit.contract.drill_reports import drilled
from tests.unit.contract.judges.data_reports import finding
from tests.unit.contract.judges.data_reports import report as window
from tests.unit.contract.judges.monitor_reports import decide
from tests.unit.contract.judges.monitor_reports import report as look
from tests.unit.contract.live.canary_reports import AB, LABELS, whole
from tests.unit.contract.live.rehearsal_reports import gates
from tests.unit.contract.live.rehearsal_reports import report as rehearsal
from understudy.contract.judgement import Judgement
from understudy.contract.judges.canary import judge_ab, judge_step
from understudy.contract.judges.data import judge_data
from understudy.contract.judges.rehearsal import judge_rehearsal

JUDGEMENTS = {
    "a look": decide(look()).judgement,
    "a window of data": judge_data(window(finding())),
    "a rehearsal": judge_rehearsal(rehearsal(), gates()),
    "a canary": judge_step(whole(), LABELS, 0.05),
    "a comparison of value": judge_ab(whole(), AB, is_over=True),
    "a drill": drilled(),
}


@pytest.mark.parametrize("judgement", JUDGEMENTS.values(), ids=JUDGEMENTS.keys())
def test_each_number_has_an_interval_or_says_what_stands_in_its_place(judgement: Judgement) -> None:
    measured = [answer for answer in judgement.results if answer.measured is not None]
    assert measured
    assert [answer.gate for answer in measured if answer.low is None and not answer.basis] == []


@pytest.mark.parametrize("told", [name for name in JUDGEMENTS if name != "a window of data"])
def test_each_number_has_a_name(told: str) -> None:
    measured = [answer for answer in JUDGEMENTS[told].results if answer.measured is not None]
    assert [answer.gate for answer in measured if not answer.what] == []
