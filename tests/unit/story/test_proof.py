from pathlib import Path
from typing import Any

import pytest

from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.words import Alias, Change, EntryKind, Outcome
from understudy.hooks.connect import Hooks
from understudy.settings import Settings
from understudy.story.acts import ACTS, MODEL, Act, Scene
from understudy.story.proof import Happened, Proof

ACT = {act.scene: act for act in ACTS}


class FakeRegistry:
    """Stand in for MLflow's aliases."""

    def __init__(self) -> None:
        self.named: dict[Alias, int] = {}

    def aliases(self, model: str) -> dict[Alias, int]:
        return self.named


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    hooks = Hooks(Settings.model_validate({"UNDERSTUDY_HOME": tmp_path}))
    hooks.__dict__["registry"] = FakeRegistry()
    return hooks


def bundle(version: int) -> Bundle:
    return Bundle(
        model=MODEL,
        version=version,
        model_sha256=f"{version:064d}",
        image_digest="sha256:0",
        code_commit="c",
        spec_sha256="s",
        data_version="d",
        run="r",
        reference_data="d",
    )


def serve(hooks: Hooks, version: int, previous: int | None = None, change: Change = Change.PROMOTION) -> None:
    current = hooks.deployments.current(MODEL)
    epoch = current.epoch if current else 0
    record = Deployment(
        model=MODEL,
        epoch=epoch + 1,
        change=change,
        champion=bundle(version),
        previous=bundle(previous) if previous else None,
    )
    hooks.deployments.deploy(record, epoch, "test", "because")
    named = {Alias.CHAMPION: version} | ({Alias.PREVIOUS_CHAMPION: previous} if previous else {})
    hooks.registry.__dict__["named"] = named


def bless(hooks: Hooks, version: int, *, rubber_stamped: bool) -> None:
    blessing = Blessing(
        challenger=bundle(version),
        champion_version=None,
        champion_epoch=0,
        judgement_sha256="j",
        rubber_stamped=rubber_stamped,
    )
    hooks.ledger.append(MODEL, EntryKind.BLESSED, "test", "x", facts=blessing.model_dump(mode="json"))


def judged(hooks: Hooks, low: float | None) -> None:
    answers: list[dict[str, Any]] = [{"gate": "roc_auc.gain", "low": low}]
    hooks.ledger.append(MODEL, EntryKind.JUDGED, "test", "x", facts={"judgement": {"results": answers}})


def happened(outcome: Outcome | None, state: str = "success") -> Happened:
    return Happened(run="r", state=state, outcome=outcome, sentence="it did", seconds=1)


def first_act(hooks: Hooks) -> Proof:
    proof = Proof(hooks)
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    assert proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED)).contradictions == ()
    return proof


def test_a_story_that_goes_as_promised_contradicts_nothing(hooks: Hooks) -> None:
    proof = first_act(hooks)
    judged(hooks, 0.02)
    serve(hooks, 2, previous=1)
    assert proof.row(2, ACT[Scene.BETTER], happened(Outcome.PROMOTED)).contradictions == ()
    hooks.deployments.deny(MODEL, bundle(2).model_sha256, "x", "test", bundle=bundle(2))
    serve(hooks, 1, change=Change.ROLLBACK)
    assert proof.row(5, ACT[Scene.ROLLBACK], happened(None)).contradictions == ()


def test_an_alias_that_lags_behind_the_record_is_a_contradiction(hooks: Hooks) -> None:
    proof = Proof(hooks)
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    hooks.registry.__dict__["named"] = {}
    row = proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED))
    assert row.contradictions == ("the registry's champion is None, the deployment record says 1",)


def test_a_first_model_that_was_not_rubber_stamped_is_a_contradiction(hooks: Hooks) -> None:
    proof = Proof(hooks)
    bless(hooks, 1, rubber_stamped=False)
    serve(hooks, 1)
    row = proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED))
    assert row.contradictions == ("the ledger holds no rubber-stamped blessing",)


@pytest.mark.parametrize("low", [None, -0.01])
def test_a_promotion_without_a_provable_gain_is_a_contradiction(hooks: Hooks, low: float | None) -> None:
    proof = first_act(hooks)
    judged(hooks, low)
    serve(hooks, 2, previous=1)
    row = proof.row(2, ACT[Scene.BETTER], happened(Outcome.PROMOTED))
    assert row.contradictions == ("the ledger shows no provable gain over the champion",)


@pytest.mark.parametrize("act", [ACT[Scene.POISONED], ACT[Scene.WORSE]], ids=lambda act: act.scene)
def test_a_refusal_that_changed_the_champion_or_left_no_trace_is_a_contradiction(hooks: Hooks, act: Act) -> None:
    proof = first_act(hooks)
    serve(hooks, 2, previous=1)
    row = proof.row(3, act, happened(Outcome.PROMOTED))
    assert len(row.contradictions) >= 3
    assert "the champion changed" in row.contradictions


def test_a_rollback_that_did_not_happen_is_a_contradiction(hooks: Hooks) -> None:
    proof = first_act(hooks)
    row = proof.row(5, ACT[Scene.ROLLBACK], happened(None, state="failed"))
    assert "the run ended as failed: it did" in row.contradictions
    assert "the newest record is no rollback" in row.contradictions
