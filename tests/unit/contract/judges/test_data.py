"""The verdict on a window: never a yes without numbers, one failure is enough, order is irrelevant."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.contract.judges.data_reports import finding, report
from understudy.contract.judgement import COUNTED
from understudy.contract.judges.data import judge_data
from understudy.contract.reports import Finding
from understudy.contract.words import Verdict


def test_findings_with_numbers_that_hold_pass() -> None:
    assert judge_data(report(finding(), finding(check="nulls"))).verdict is Verdict.PASSED


def test_no_findings_never_pass() -> None:
    assert judge_data(report()).verdict is Verdict.INCONCLUSIVE


def test_an_empty_window_never_passes() -> None:
    judgement = judge_data(report(finding(), rows=0, rows_checked=0))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert [one.gate for one in judgement.results if one.verdict is Verdict.INCONCLUSIVE] == ["bad_rows"]


def test_a_failure_of_the_window_fails_and_is_said() -> None:
    judgement = judge_data(report(finding(), finding(failed=True, sentence="x is broken")))
    assert judgement.verdict is Verdict.FAILED
    assert judgement.sentence == "x is broken"


def test_failing_cells_fail_by_their_share_only() -> None:
    cells = finding(failed=True, batch_level=False, failing_rows=10, sentence="10 cells are bad")
    assert judge_data(report(cells, bad_rows=10)).verdict is Verdict.PASSED
    refused = judge_data(report(cells, bad_rows=11))
    assert refused.verdict is Verdict.FAILED
    assert "10 cells are bad" in refused.sentence


def test_a_share_of_bad_rows_is_told_with_its_number_and_the_most_frequent_reasons() -> None:
    cells = [
        finding(failed=True, batch_level=False, failing_rows=rows, sentence=f"{rows} {what}")
        for rows, what in ((1, "too low"), (4, "too long"), (2, "odd"), (4, "empty"))
    ]
    fine = finding(batch_level=False, failing_rows=9, sentence="all in range")
    whole = finding(failed=True, failing_rows=9, sentence="the window is broken")
    share = judge_data(report(fine, whole, *cells, bad_rows=10)).results[0]
    assert (share.gate, share.measured, share.what, share.basis) == ("bad_rows", 0.01, "share of the rows", COUNTED)
    assert share.sentence == (
        "10 of 1,000 rows (1.00%) have failing cells, at most 1.00% of the rows may: 4 empty; 4 too long; 2 odd"
    )
    assert judge_data(report(finding())).results[0].sentence.endswith("of the rows may")


def test_each_finding_is_an_answer_under_the_name_of_its_check_and_column() -> None:
    results = judge_data(report(finding(measured=3.0), finding(check="row_count", column=None, measured=None))).results
    told = [(one.gate, one.verdict, one.measured, one.basis) for one in results]
    assert told == [
        ("bad_rows", Verdict.PASSED, 0.0, COUNTED),
        ("range.x", Verdict.PASSED, 3.0, COUNTED),
        ("row_count", Verdict.INCONCLUSIVE, None, ""),
    ]


def test_enough_rows_pass() -> None:
    assert judge_data(report(finding(check="row_count", measured=1000.0))).verdict is Verdict.PASSED


def test_too_few_rows_decide_nothing_but_do_not_hide_a_failure() -> None:
    few = finding(check="row_count", failed=True)
    assert judge_data(report(few)).verdict is Verdict.INCONCLUSIVE
    assert judge_data(report(few, finding(failed=True))).verdict is Verdict.FAILED


FINDINGS = st.builds(
    finding,
    check=st.sampled_from(["range", "row_count", "skew", "label_share"]),
    failed=st.booleans(),
    batch_level=st.booleans(),
    measured=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    failing_rows=st.integers(0, 100),
)


@given(st.lists(FINDINGS, max_size=6), st.integers(0, 1000), st.integers(0, 1000))
def test_nothing_missing_or_failed_ever_passes(findings: list[Finding], rows: int, bad_rows: int) -> None:
    verdict = judge_data(report(*findings, rows=rows, bad_rows=min(bad_rows, rows))).verdict
    if verdict is Verdict.PASSED:
        assert findings
        assert rows > 0
        assert bad_rows / rows <= 0.01
        assert all(f.measured is not None and math.isfinite(f.measured) for f in findings)
        assert not any(f.failed and (f.batch_level or f.check == "row_count") for f in findings)


@given(st.lists(FINDINGS, max_size=6).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_findings_is_irrelevant(orders: tuple[list[Finding], list[Finding]]) -> None:
    one, other = orders
    assert judge_data(report(*one)).verdict is judge_data(report(*other)).verdict
