"""When a version is promoted or taken back, and how it is refused."""

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tests.unit.operators.price import context, entries, judged, serve
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.operators import (
    PromoteOperator,
    RollbackOperator,
)
from understudy.operators.decisions import HELD_KEY, REFUSAL_KEY
from understudy.operators.errors import (
    PromotionHeld,
    PromotionRefused,
    RollbackRefused,
)

pytestmark = pytest.mark.usefixtures("price_home")


def test_what_is_not_blessed_is_skipped() -> None:
    with pytest.raises(AirflowSkipException, match=r"version 7 is not blessed: roc_auc is 0\.6"):
        PromoteOperator(task_id="promote", model="price", evaluated=judged(0.6).model_dump(mode="json")).execute(
            context()
        )


def test_a_refused_promotion_is_recorded_told_and_not_tried_again() -> None:
    evaluated = judged(0.9)
    serve(4, 1)
    pushed: dict[str, Any] = {}
    for _ in range(2):
        with pytest.raises(PromotionRefused, match="stale") as refused:
            PromoteOperator(task_id="promote", model="price", evaluated=evaluated.model_dump(mode="json")).execute(
                context(pushed)
            )
    assert isinstance(refused.value, AirflowFailException)
    assert "stale" in pushed[REFUSAL_KEY]
    assert [entry.facts["version"] for entry in entries(EntryKind.REFUSED)] == [7]
    current = connect().deployments.current("price")
    assert current is not None
    assert current.champion.version == 4


def test_a_held_model_is_judged_and_not_promoted_until_it_is_released() -> None:
    evaluated, pushed = judged(0.9).model_dump(mode="json"), dict[str, Any]()
    connect().ledger.append("price", EntryKind.HELD, "carl", "the meters are being replaced")
    with pytest.raises(PromotionHeld, match=r"held by carl since .* \(the meters are being replaced\)") as held:
        PromoteOperator(task_id="promote", model="price", evaluated=evaluated).execute(context(pushed))
    assert isinstance(held.value, AirflowSkipException)
    assert "held by carl" in pushed[HELD_KEY]
    assert REFUSAL_KEY not in pushed
    assert [entry.facts for entry in entries(EntryKind.REFUSED)] == [{"version": 7, "held_by": "carl"}]
    assert connect().deployments.current("price") is None
    connect().ledger.append("price", EntryKind.RELEASED, "ann", "they are replaced")
    PromoteOperator(task_id="promote", model="price", evaluated=evaluated).execute(context())
    assert connect().deployments.current("price") is not None


def test_a_blessing_that_the_ledger_does_not_know_promotes_nothing() -> None:
    forged = judged(0.6).model_copy(update={"is_blessed": True})
    with pytest.raises(PromotionRefused, match="holds no blessing"):
        PromoteOperator(task_id="promote", model="price", evaluated=forged.model_dump(mode="json")).execute(context())
    assert connect().deployments.current("price") is None


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("previous", "No version of price serves yet"),
        ("the one before", "neither 'previous' nor a version number"),
        ("12", "No version"),
    ],
)
@pytest.mark.parametrize("is_dry_run", [True, "False"])
def test_a_rollback_that_cannot_be_is_refused_with_a_sentence(target: str, says: str, is_dry_run: bool | str) -> None:
    operator = RollbackOperator(
        task_id="rollback", model="price", target=target, reason="it hurts", is_dry_run=is_dry_run
    )
    with pytest.raises(RollbackRefused, match=says) as refused:
        operator.execute(context())
    assert isinstance(refused.value, AirflowFailException)


@pytest.mark.parametrize("is_dry_run", [True, "False"])
def test_a_model_that_nobody_knows_is_not_rolled_back_and_those_that_are_known_are_named(
    is_dry_run: bool | str,
) -> None:
    operator = RollbackOperator(task_id="rollback", model="prcie", reason="it hurts", is_dry_run=is_dry_run)
    with pytest.raises(RollbackRefused, match=r"No model 'prcie' in .*\. Did you mean 'price'\? Known models: price"):
        operator.execute(context())
