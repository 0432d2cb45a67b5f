"""What a person may do to a model: once, with a reason, and only where it makes sense."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.hooks.demand import bundle, by, record
from understudy.contract.airflow_run import AirflowRun, airflow_run_in
from understudy.contract.by import By
from understudy.contract.errors import UnknownModel
from understudy.contract.words import Action, Change, EntryKind
from understudy.hooks.acts import Acted, act
from understudy.hooks.connect import Hooks
from understudy.hooks.errors import (
    HeldAlready,
    LockedAlready,
    ModelHeld,
    NotHeld,
    NothingServes,
    NothingTried,
    NotLocked,
    ReasonMissing,
    Refused,
)
from understudy.hooks.registry.errors import UnknownVersion
from understudy.settings import Settings

MODEL = "demand"


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setattr(
        "understudy.hooks.registry.registry.Registry", lambda *_, **__: SimpleNamespace(follow=lambda record: {})
    )
    hooks = Hooks(Settings(models_dir=tmp_path / "models"))
    hooks.deployments.deploy(record(1, 1), 0, By(actor="ann", reason="the first"))
    return hooks


def do(hooks: Hooks, action: Action, version: int | None = None, **more: Any) -> Acted:
    return act(hooks, action, MODEL, version, by=by(more, "audit"), **more)


def test_a_held_model_takes_no_challenger_until_it_is_released(hooks: Hooks) -> None:
    do(hooks, Action.HOLD, reason="the meters are being replaced")
    canary = record(1, 1).model_copy(
        update={"epoch": 2, "change": Change.CANARY_STARTED, "canary": bundle(2), "canary_share": 0.1}
    )
    for forbidden in (record(2, 2), canary):
        with pytest.raises(
            ModelHeld, match=r"held by ann since \d{4}-.* UTC \(the meters are being replaced\).*Release"
        ):
            hooks.deployments.deploy(forbidden, 1, By(actor="bob", reason="weekly"))
    with pytest.raises(ModelHeld):
        hooks.deployments.refuse(bundle(2))
    do(hooks, Action.RELEASE, actor="bob")
    hooks.deployments.deploy(record(2, 2), 1, By(actor="bob", reason="weekly"))
    assert hooks.deployments.held(MODEL) is None


@pytest.mark.parametrize(
    ("change", "beside"),
    [(Change.ROLLBACK, {}), (Change.MIRROR_STARTED, {"mirror": bundle(2), "mirror_share": 0.5})],
    ids=["rollback", "rehearsal"],
)
def test_a_hold_forbids_neither_a_rollback_nor_a_rehearsal(
    hooks: Hooks, change: Change, beside: dict[str, Any]
) -> None:
    do(hooks, Action.HOLD)
    allowed = record(2, 1).model_copy(update={"change": change, **beside})
    assert hooks.deployments.deploy(allowed, 1, By(actor="ann", reason="it hurts")).facts["epoch"] == 2


def test_a_hold_of_one_model_is_none_of_another(hooks: Hooks) -> None:
    do(hooks, Action.HOLD)
    assert hooks.deployments.held("price") is None


@pytest.mark.parametrize(
    ("before", "asked", "refusal", "told"),
    [
        ((), (Action.RELEASE, None), NotHeld, "Nobody holds demand"),
        ((Action.HOLD,), (Action.HOLD, None), HeldAlready, "held already, by ann"),
        ((), (Action.UNLOCK, None), NotLocked, "Version 1 of demand is not locked"),
        ((Action.LOCK,), (Action.LOCK, 1), LockedAlready, r"locked already \(audit\)"),
        ((), (Action.LOCK, 9), UnknownVersion, "has never served"),
        ((), (Action.STOP_SHADOW, None), NothingTried, "Nothing is tried beside the champion"),
    ],
)
@pytest.mark.parametrize("is_dry_run", [True, False])
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    hooks: Hooks,
    before: tuple[Action, ...],
    asked: tuple[Action, int | None],
    refusal: type[Refused],
    told: str,
    *,
    is_dry_run: bool,
) -> None:
    for earlier in before:
        do(hooks, earlier)
    written = hooks.ledger.entries()
    with pytest.raises(refusal, match=told):
        do(hooks, *asked, is_dry_run=is_dry_run)
    assert hooks.ledger.entries() == written


def test_a_lock_is_on_the_champion_unless_a_version_is_named(hooks: Hooks) -> None:
    hooks.deployments.deploy(record(2, 2), 1, By(actor="ann", reason="better"))
    assert do(hooks, Action.LOCK).version == 2
    assert do(hooks, Action.LOCK, 1).version == 1
    assert do(hooks, Action.UNLOCK).version == 2
    assert hooks.deployments.locked(MODEL) == {1: "audit"}


def test_where_nothing_serves_nothing_is_locked_or_stopped(hooks: Hooks) -> None:
    hooks.ledger.append("price", EntryKind.TRIGGERED, "ann", "first run")
    for action in (Action.LOCK, Action.STOP_SHADOW):
        with pytest.raises(NothingServes):
            act(hooks, action, "price", by=By(actor="ann", reason="audit"))
    assert act(hooks, Action.HOLD, "price", by=By(actor="ann", reason="not before May")).model == "price"


def test_a_model_that_nobody_knows_is_not_held(hooks: Hooks) -> None:
    with pytest.raises(UnknownModel, match="No model 'demnad'"):
        act(hooks, Action.HOLD, "demnad", by=By(actor="ann", reason="a typing mistake"))
    assert hooks.deployments.held("demnad") is None


@pytest.mark.parametrize("reason", ["", " \n\t ", "x" * 1_001])
@pytest.mark.parametrize("action", Action)
def test_a_reason_is_required(hooks: Hooks, action: Action, reason: str) -> None:
    with pytest.raises(ReasonMissing):
        do(hooks, action, reason=reason)


@pytest.mark.parametrize(
    "reason",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE ledger; --",
        "{{ var.value.secret }} ${HOME}",
        "Ü 見 \u202e",
        "x" * 1_000,
    ],
)
def test_a_reason_is_text_whatever_is_in_it(hooks: Hooks, reason: str) -> None:
    do(hooks, Action.HOLD, reason=reason)
    hold = hooks.deployments.held(MODEL)
    assert hold is not None
    assert hold.reason == reason
    assert hooks.ledger.verify().ok


@pytest.mark.parametrize("action", [Action.HOLD, Action.LOCK])
def test_a_dry_run_says_the_same_and_changes_nothing(hooks: Hooks, action: Action) -> None:
    written = hooks.ledger.entries()
    planned = do(hooks, action, is_dry_run=True)
    assert hooks.ledger.entries() == written
    done = do(hooks, action)
    assert planned == done.model_copy(update={"is_dry_run": True})


def test_a_retried_run_acts_once(hooks: Hooks) -> None:
    acted = [do(hooks, Action.HOLD, run="hold-1") for _ in range(3)]
    assert acted[0] == acted[1] == acted[2]
    assert len(hooks.ledger.entries(MODEL, [EntryKind.HELD])) == 1
    do(hooks, Action.RELEASE, run="release-1")
    do(hooks, Action.HOLD, run="hold-1")
    assert hooks.deployments.held(MODEL) is None, "a late retry of an earlier run holds it again"


def test_of_many_people_at_once_one_holds_and_the_others_are_told(hooks: Hooks) -> None:
    people, start = [f"person{number}" for number in range(8)], Barrier(8)

    def hold(person: str) -> str | None:
        start.wait()
        try:
            do(hooks, Action.HOLD, actor=person)
        except HeldAlready as told:
            return str(told)
        return None

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(hold, people))
    (entry,) = hooks.ledger.entries(MODEL, [EntryKind.HELD])
    assert told.count(None) == 1
    assert all(entry.actor in sentence for sentence in told if sentence)


@pytest.mark.parametrize("action", Action)
def test_an_act_keeps_the_name_of_its_run_in_airflow(hooks: Hooks, action: Action) -> None:
    if action is Action.STOP_SHADOW:
        mirrored = {"epoch": 2, "change": Change.MIRROR_STARTED, "mirror": bundle(2), "mirror_share": 0.5}
        hooks.deployments.deploy(record(1, 1).model_copy(update=mirrored), 1, By(actor="scheduled", reason="rehearsal"))
    if action in {Action.RELEASE, Action.UNLOCK}:
        do(hooks, Action.HOLD if action is Action.RELEASE else Action.LOCK)
    run = AirflowRun(dag_id=action.value, run_id="manual__1")
    do(hooks, action, run="act-1", airflow=run)
    (written,) = hooks.ledger.entries(MODEL, run="act-1")
    assert airflow_run_in(written.facts) == run


@pytest.mark.parametrize(
    ("beside", "ended", "told"),
    [
        ({"mirror": bundle(2), "mirror_share": 0.5}, Change.MIRROR_ENDED, "version 2 no longer answers"),
        ({"canary": bundle(2), "canary_share": 0.5}, Change.CANARY_ENDED, "the canary of version 2 is over"),
    ],
    ids=["mirror", "canary"],
)
def test_what_is_tried_is_stopped_once_whoever_began_it(
    hooks: Hooks, beside: dict[str, Any], ended: Change, told: str
) -> None:
    started = record(1, 1).model_copy(update={"epoch": 2, "change": Change.MIRROR_STARTED, **beside})
    hooks.deployments.deploy(started, 1, By(actor="scheduled", reason="rehearsal", run="retrain-1"))
    planned = do(hooks, Action.STOP_SHADOW, is_dry_run=True)
    assert planned.sentence.startswith(told)
    assert hooks.deployments.current(MODEL) == started
    for _ in range(2):
        assert do(hooks, Action.STOP_SHADOW, run="stop-1").sentence == planned.sentence
    newest = hooks.deployments.history(MODEL)[-1]
    assert (newest.deployment.epoch, newest.deployment.change) == (3, ended)
    assert (newest.deployment.mirror, newest.deployment.canary) == (None, None)
    assert (newest.actor, newest.reason, newest.deployment.champion_since) == ("ann", "audit", 1)
    with pytest.raises(NothingTried):
        do(hooks, Action.STOP_SHADOW, run="stop-2")


def test_what_is_tried_is_stopped_once_from_where_there_are_no_runs_too(hooks: Hooks) -> None:
    mirrored = {"epoch": 2, "change": Change.MIRROR_STARTED, "mirror": bundle(2), "mirror_share": 0.5}
    hooks.deployments.deploy(record(1, 1).model_copy(update=mirrored), 1, By(actor="scheduled", reason="rehearsal"))
    assert do(hooks, Action.STOP_SHADOW).version == 2
    assert [served.deployment.change for served in hooks.deployments.history(MODEL)][2:] == [Change.MIRROR_ENDED]
