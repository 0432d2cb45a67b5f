"""How a challenger is judged, recorded and blessed."""

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tests.unit.operators.price import bundle, context, declare, entries, judged, serve
from understudy.contract.judgement import Judgement
from understudy.contract.release import Blessing
from understudy.contract.words import EntryKind, Verdict
from understudy.operators import PromoteOperator

pytestmark = pytest.mark.usefixtures("price_home")


def test_what_passes_is_judged_then_blessed_by_the_digest_of_its_judgement() -> None:
    evaluated = judged(0.9)
    assert evaluated.is_blessed
    [judgement], [blessed] = entries(EntryKind.JUDGED), entries(EntryKind.BLESSED)
    assert judgement.seq < blessed.seq
    assert blessed.facts["judgement_sha256"] == judgement.facts["judgement_sha256"] == evaluated.judgement.digest()
    assert Judgement.model_validate(judgement.facts["judgement"]).digest() == evaluated.judgement.digest()
    assert Blessing.model_validate(blessed.facts).rubber_stamped


@pytest.mark.parametrize(
    ("auc", "verdict"), [(0.6, Verdict.FAILED), (None, Verdict.INCONCLUSIVE), (float("nan"), Verdict.INCONCLUSIVE)]
)
def test_what_does_not_pass_is_recorded_and_not_blessed(auc: float | None, verdict: Verdict) -> None:
    evaluated = judged(auc)
    assert (evaluated.judgement.verdict, evaluated.is_blessed) == (verdict, False)
    assert len(entries(EntryKind.JUDGED)) == 1
    assert entries(EntryKind.BLESSED) == []


def test_a_dry_run_blesses_nothing() -> None:
    assert not judged(0.9, dry_run=True).is_blessed
    assert entries(EntryKind.BLESSED) == []


def test_a_measured_latency_is_judged_like_any_number() -> None:
    declare(gates=[{"metric": "roc_auc"}, {"metric": "latency_p95_ms", "ceiling": 5}])
    evaluated = judged(0.9, latency=9.0)
    assert not evaluated.is_blessed
    assert "latency_p95_ms is 9" in evaluated.judgement.sentence


@pytest.mark.parametrize("gate", [{"metric": "roc_auc"}, {"metric": "roc_auc", "min_gain": 0.01}])
def test_the_champion_once_more_is_judged_and_not_blessed(gate: dict[str, object]) -> None:
    declare(gates=[gate])
    champion = serve(3, 1)
    twin = champion.champion.model_copy(update={"model_sha256": bundle().model_sha256})
    evaluated = judged(0.8, champion=champion.model_copy(update={"champion": twin}))
    assert (evaluated.is_blessed, evaluated.is_champion_again) == (False, True)
    [told] = entries(EntryKind.JUDGED)
    assert told.facts["is_champion_again"] is True
    assert entries(EntryKind.BLESSED) == []
    promote = PromoteOperator(task_id="promote", model="price", evaluated=evaluated.model_dump(mode="json"))
    why = r"^version 7 is champion 3 once more: the same rows have made the same files$"
    with pytest.raises(AirflowSkipException, match=why):
        promote.execute(context())


def test_a_retry_says_nothing_twice_and_a_later_champion_gets_an_answer_of_its_own() -> None:
    first = serve(3, 1)
    for _ in range(2):
        assert judged(0.8, champion=first).is_blessed
    again = judged(0.8, champion=first.model_copy(update={"epoch": 4, "champion_since": 3}))
    assert again.champion_epoch == 3
    assert [entry.facts["champion_epoch"] for entry in entries(EntryKind.BLESSED)] == [1, 3]
