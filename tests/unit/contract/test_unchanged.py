"""When a retraining made the champion once more, and when it made something else."""

import pytest

from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.release import Bundle
from understudy.contract.unchanged import is_champion_again
from understudy.contract.words import Verdict

CHAMPION = Bundle(
    model="price", version=3, model_sha256="files", image_digest="image", code_commit="c", spec_sha256="s",
    data_version="rows", run="r", reference_data="rows", decision_threshold=0.4,
)  # fmt: skip
AGAIN = CHAMPION.model_copy(update={"version": 4, "run": "later", "code_commit": "another", "spec_sha256": "other"})


def answered(**gates: Verdict) -> Judgement:
    results = tuple(
        GateResult(gate=name.replace("__", "."), verdict=verdict, bound="any", sentence="so")
        for name, verdict in gates.items()
    )
    verdicts = {answer.verdict for answer in results}
    verdict = next((one for one in (Verdict.FAILED, Verdict.INCONCLUSIVE) if one in verdicts), Verdict.PASSED)
    return Judgement(verdict=verdict, results=results)


def test_the_same_rows_and_files_are_the_champion_once_more_whatever_run_and_commit_made_them() -> None:
    assert is_champion_again(AGAIN, CHAMPION, answered(no_leak=Verdict.PASSED, roc_auc__gain=Verdict.PASSED))


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_a_gain_over_itself_is_no_question(verdict: Verdict) -> None:
    assert is_champion_again(AGAIN, CHAMPION, answered(no_leak=Verdict.PASSED, roc_auc__gain=verdict))


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_a_bound_that_the_champion_fails_too_is_for_people_to_know(verdict: Verdict) -> None:
    told = answered(no_leak=Verdict.PASSED, roc_auc__floor=verdict, roc_auc__gain=Verdict.PASSED)
    assert not is_champion_again(AGAIN, CHAMPION, told)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 3),  # the champion itself, in a run that is tried again after its promotion
        ("model_sha256", "others"),
        ("data_version", "more rows"),
        ("image_digest", "rebuilt"),
        ("own_image", "theirs"),
        ("decision_threshold", 0.5),
    ],
)
def test_anything_else_is_a_challenger_like_any_other(field: str, value: object) -> None:
    challenger = AGAIN.model_copy(update={field: value})
    assert not is_champion_again(challenger, CHAMPION, answered(no_leak=Verdict.PASSED))


def test_without_a_champion_or_without_answers_nothing_is_unchanged() -> None:
    assert not is_champion_again(AGAIN, None, answered(no_leak=Verdict.PASSED))
    assert not is_champion_again(AGAIN, CHAMPION, answered())
