"""When a rollback drill has passed, and how it tells of itself."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.contract.drill_reports import drilled
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_GUARD, sentence_of
from understudy.contract.words import Verdict
from understudy.settings import Settings


def test_a_bad_model_that_is_found_out_and_taken_back_in_time_passes() -> None:
    judgement = drilled()
    assert judgement.verdict is Verdict.PASSED
    assert sentence_of(judgement) == (
        "the bad version 2 was found out 6.5 s after all gateways served it; 2m is allowed; "
        "version 1 answered again at all gateways 0.05 s after that; 5s is allowed"
    )


@pytest.mark.parametrize(
    ("measured", "gate", "sentence"),
    [
        (
            {"detection_s": None, "reversal_s": None, "problem": "needs about 40 more labels"},
            "detection",
            "the bad version 2 was not found out within 2m: needs about 40 more labels",
        ),
        ({"detection_s": 121.0}, "detection", "found out only 121.0 s after"),
        ({"reversal_s": None, "problem": "gateway b is away"}, "reversal", "not answer again at all gateways: gateway"),
        ({"reversal_s": 5.01}, "reversal", "answered again at all gateways only 5.01 s after that; 5s is allowed"),
        ({"detection_s": float("nan")}, "detection", "found out only"),
        ({"reversal_s": -0.1}, "reversal", "only -0.10 s"),
    ],
    ids=["never found", "found late", "never back", "back late", "no number", "before it began"],
)
def test_too_late_or_not_at_all_fails_and_says_what(measured: dict[str, Any], gate: str, sentence: str) -> None:
    judgement = drilled(**measured)
    assert judgement.verdict is Verdict.FAILED
    failed = [result for result in judgement.results if result.verdict is Verdict.FAILED]
    assert [result.gate for result in failed] == [gate]
    assert sentence in failed[0].sentence


def test_where_nothing_was_found_nobody_asks_for_the_reversal() -> None:
    detection, reversal = drilled(detection_s=None, reversal_s=None).results
    assert (detection.verdict, reversal.verdict) == (Verdict.FAILED, Verdict.INCONCLUSIVE)


def test_only_the_labels_may_find_the_bad_model_out() -> None:
    assert DRILL_GUARD.min_labels > 0
    assert (DRILL_GUARD.max_error_share, DRILL_GUARD.min_agreement, DRILL_GUARD.max_score_shift) == (1.0, None, None)
    assert min(DRILL_GUARD.max_latency_ratio, DRILL_GUARD.max_memory_ratio) >= 1e6


def test_no_model_may_be_declared_in_the_sandbox() -> None:
    with pytest.raises(ValidationError, match="where the rollback drill ships its bad models"):
        ModelSpec.model_validate(
            {
                "model": DRILL_MODEL, "owner": "o", "task": "regression", "gates": [{"metric": "mae"}],
                "data": {"source": "x.csv", "target": "y", "time": "t"},
            }
        )  # fmt: skip


def test_an_impossible_schedule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DRILL_SCHEDULE", "every monday")
    with pytest.raises(ValidationError, match="drill_schedule"):
        Settings()
