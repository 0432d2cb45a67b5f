from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.by import By
from understudy.contract.cause import Ask, Cause
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.monitoring import Decision, MonitorReport
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.retrainings import Look
from understudy.contract.words import Alias, Change, EntryKind, Outcome, Trigger, Verdict, Watched
from understudy.hooks.connect import Hooks
from understudy.sample.traffic import Count
from understudy.settings import Settings
from understudy.story.acts import ACTS, MODEL, Act, Scene
from understudy.story.proof import Happened, Proof
from understudy.story.witness import Witnessed

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
    mirror = bundle(previous) if previous else None
    record = Deployment(
        model=MODEL,
        epoch=epoch + 1,
        change=change,
        champion=bundle(version),
        previous=mirror,
        mirror=mirror,
        mirror_share=1.0 if mirror else 0.0,
    )
    hooks.deployments.deploy(record, epoch, By(actor="test", reason="because"))
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


LIVE = Count(requests=100, failed=0, versions={1: 100}, statuses={200: 100}, slowest_ms=9.0)


def rehearsed(hooks: Hooks, verdict: str = "passed", *, rubber_stamped: bool = False) -> None:
    facts = {"verdict": verdict, "rubber_stamped": rubber_stamped}
    hooks.ledger.append(MODEL, EntryKind.REHEARSED, "test", "x", facts=facts)


def guarded(hooks: Hooks, verdict: str) -> None:
    hooks.ledger.append(MODEL, EntryKind.GUARDED, "test", "x", facts={"verdict": verdict})


def happened(outcome: Outcome | None, state: str = "success", live: Count = LIVE) -> Happened:
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Happened(run="r", state=state, outcome=outcome, sentence="it did", turned_at=at, seconds=1, live=live)


def proof_of(hooks: Hooks) -> Proof:
    """A proof whose gateway serves what the record says."""

    def ask() -> tuple[Witnessed, ...]:
        current = hooks.deployments.current(MODEL)
        assert current is not None
        return (Witnessed(gateway="http://one", status=200, version=current.champion.version, epoch=current.epoch),)

    return Proof(hooks, ask)


def first_act(hooks: Hooks) -> Proof:
    proof = proof_of(hooks)
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    assert proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED)).contradictions == ()
    return proof


AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def looked(hooks: Hooks, reason: Trigger | None, verdict: Verdict = Verdict.FAILED) -> int:
    """Note a look; return its place in the ledger."""
    answer = GateResult(gate="drift", verdict=verdict, bound="usual", sentence="s")
    report = MonitorReport(
        model=MODEL, watched=Watched.DATA, champion_version=1, champion_since=AT, as_of=AT, window_start=AT,
        window_end=AT,
    )  # fmt: skip
    decision = Decision(
        judgement=Judgement(verdict=verdict, results=(answer,)), is_drifting=verdict is Verdict.FAILED,
        reasons=(reason,) if reason else (), sentence="the wind moved",
    )  # fmt: skip
    look = Look(report=report, decision=decision, is_due=reason is not None, champion_since=1)
    return hooks.ledger.append(MODEL, EntryKind.MONITORED, "test", "x", facts=look.model_dump(mode="json")).seq


def begun(hooks: Hooks, seq: int, reason: Trigger = Trigger.DRIFT) -> None:
    ask = Ask(reasons=(reason,), sentence="s", ledger_seq=seq, ledger_hash="h", run_id="r")
    cause = Cause(reasons=(reason,), sentence="s", asks=(ask,), events=1)
    hooks.ledger.append(MODEL, EntryKind.TRIGGERED, "test", "x", facts={"cause": cause.model_dump(mode="json")})


def quiet_act(hooks: Hooks, proof: Proof, reason: Trigger | None = None, verdict: Verdict = Verdict.PASSED) -> str:
    looked(hooks, reason, verdict)
    return "; ".join(proof.row(3, ACT[Scene.QUIET], happened(None)).contradictions)


def better_act(hooks: Hooks, proof: Proof) -> tuple[str, ...]:
    begun(hooks, looked(hooks, Trigger.DRIFT))
    return answered_act(hooks, proof)


def answered_act(hooks: Hooks, proof: Proof) -> tuple[str, ...]:
    judged(hooks, 0.02)
    rehearsed(hooks)
    serve(hooks, 2, previous=1)
    return proof.row(4, ACT[Scene.BETTER], happened(Outcome.PROMOTED)).contradictions


def test_a_story_that_goes_as_promised_contradicts_nothing(hooks: Hooks) -> None:
    proof = first_act(hooks)
    assert quiet_act(hooks, proof) == ""
    assert better_act(hooks, proof) == ()
    guarded(hooks, "failed")
    hooks.deployments.deny(MODEL, bundle(2).model_sha256, By(actor="test", reason="x"), bundle=bundle(2))
    serve(hooks, 1, change=Change.ROLLBACK)
    assert proof.row(4, ACT[Scene.FAULT], happened(Outcome.ROLLED_BACK)).contradictions == ()


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [(Trigger.DRIFT, Verdict.FAILED), (None, Verdict.INCONCLUSIVE), (Trigger.STALENESS, Verdict.PASSED)],
)
def test_a_look_that_is_not_quiet_is_a_contradiction(hooks: Hooks, reason: Trigger | None, verdict: Verdict) -> None:
    assert quiet_act(hooks, first_act(hooks), reason, verdict) == "the look was not quiet"


def test_a_retraining_that_nobody_asked_for_is_a_contradiction(hooks: Hooks) -> None:
    proof = first_act(hooks)
    begun(hooks, looked(hooks, None, Verdict.PASSED))
    told = proof.row(3, ACT[Scene.QUIET], happened(None)).contradictions
    assert told == ("a retraining began",)
    assert "0 looks of the monitor ask for a retraining, not one" in answered_act(hooks, proof)


def test_two_retrainings_or_another_reason_contradict_the_drift(hooks: Hooks) -> None:
    proof = first_act(hooks)
    seq = looked(hooks, Trigger.DRIFT)
    begun(hooks, seq, Trigger.QUALITY)
    begun(hooks, seq)
    assert answered_act(hooks, proof) == (
        "2 retrainings began, not one",
        "the retraining does not name the look that asked for it",
        "drift is not among the retraining's reasons",
    )


def test_an_alias_that_lags_behind_the_record_is_a_contradiction(hooks: Hooks) -> None:
    proof = proof_of(hooks)
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    hooks.registry.__dict__["named"] = {}
    row = proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED))
    assert row.contradictions == ("the registry's champion is None, the deployment record says 1",)


def test_a_challenger_that_stays_in_shadow_is_a_contradiction(hooks: Hooks) -> None:
    proof = proof_of(hooks)
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    hooks.registry.__dict__["named"][Alias.SHADOW] = 2
    row = proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED))
    assert row.contradictions == ("the registry's shadow is 2, the deployment record says None",)


def test_a_first_model_that_was_not_rubber_stamped_is_a_contradiction(hooks: Hooks) -> None:
    proof = proof_of(hooks)
    bless(hooks, 1, rubber_stamped=False)
    serve(hooks, 1)
    row = proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED))
    assert row.contradictions == ("the ledger holds no rubber-stamped blessing",)


@pytest.mark.parametrize("low", [None, -0.01])
def test_a_promotion_without_a_provable_gain_is_a_contradiction(hooks: Hooks, low: float | None) -> None:
    proof = first_act(hooks)
    begun(hooks, looked(hooks, Trigger.DRIFT))
    judged(hooks, low)
    rehearsed(hooks)
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


@pytest.mark.parametrize(("verdict", "rubber_stamped"), [("inconclusive", False), ("passed", True)])
def test_a_promotion_without_a_rehearsal_is_a_contradiction(hooks: Hooks, verdict: str, rubber_stamped: bool) -> None:
    proof = first_act(hooks)
    begun(hooks, looked(hooks, Trigger.DRIFT))
    judged(hooks, 0.02)
    rehearsed(hooks, verdict, rubber_stamped=rubber_stamped)
    serve(hooks, 2, previous=1)
    (told,) = proof.row(3, ACT[Scene.BETTER], happened(Outcome.PROMOTED)).contradictions
    assert "rehearsal" in told


def test_a_rollback_that_did_not_happen_is_a_contradiction(hooks: Hooks) -> None:
    proof = first_act(hooks)
    better_act(hooks, proof)
    row = proof.row(4, ACT[Scene.FAULT], happened(Outcome.PROMOTED))
    assert "the outcome is promoted, not rolled_back: it did" in row.contradictions
    assert "no record says that the champion was taken back" in row.contradictions
    assert "the ledger's verdicts of the guard are []" in row.contradictions


def test_a_gateway_that_answers_with_another_version_is_a_contradiction(hooks: Hooks) -> None:
    lagging = Witnessed(gateway="http://two", status=200, version=7, epoch=1)
    proof = Proof(hooks, lambda: (lagging,))
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    (told,) = proof.row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED)).contradictions
    assert told.startswith("http://two answers a request with HTTP 200, version 7, epoch 1")


def test_a_world_without_a_gateway_is_a_contradiction(hooks: Hooks) -> None:
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    row = Proof(hooks, lambda: ()).row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED))
    assert row.contradictions == ("there is no gateway to ask",)


def test_one_failed_live_request_is_a_contradiction(hooks: Hooks) -> None:
    live = LIVE.model_copy(update={"failed": 1, "statuses": {200: 99, 503: 1}})
    bless(hooks, 1, rubber_stamped=True)
    serve(hooks, 1)
    row = proof_of(hooks).row(1, ACT[Scene.FIRST], happened(Outcome.PROMOTED, live=live))
    assert row.contradictions == ("1 of 100 live requests failed: {200: 99, 503: 1}",)
