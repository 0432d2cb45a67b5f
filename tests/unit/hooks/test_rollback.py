"""Rollbacks on a real ledger: which version returns, under whose name, and what is left alone when one is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.hooks.demand import bundle, by
from tests.unit.hooks.release_desk import MODEL, OTHER, OTHER_TERMS, TERMS, Desk
from understudy.contract.airflow_run import AirflowRun
from understudy.contract.by import By
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.errors import (
    ChampionLocked,
    EpochConflict,
    NothingServes,
    NothingToRollBackTo,
    ReasonMissing,
    UnfitTarget,
)
from understudy.hooks.places.gateway_errors import GatewayLagging, GatewayRefused, GatewayUnreachable
from understudy.hooks.registry.errors import (
    ArtefactMissing,
    ArtefactTampered,
    RegistryUnavailable,
    SignatureRefused,
    UnknownVersion,
)
from understudy.hooks.rollback import plan_rollback, rollback
from understudy.signatures import SignatureInvalid


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def take_back(desk: Desk, target: int | None = None, **more: Any) -> Deployment:
    return rollback(desk.deployments, desk.registry, MODEL, target, by=by(more, "it answers backwards"), **more)


def at_gateways(desk: Desk, **more: Any) -> Deployment:
    return take_back(desk, gateways=desk.places, terms=TERMS, **more)


def test_it_is_written_whole_under_the_name_of_who_asked_for_it(desk: Desk) -> None:
    first, second, third = (desk.crown(number) for number in (1, 2, 3))
    before = desk.newest
    run = AirflowRun(dag_id="rollback", run_id="manual__1")
    record = take_back(desk, reason="  it answers backwards\n", run="rollback-1", airflow=run)
    assert record == Deployment(model=MODEL, epoch=4, change=Change.ROLLBACK, champion=second, previous=first)
    denied, deployed, confirmed = desk.written(after=before)
    for entry in (denied, deployed):
        assert (entry.model, entry.actor, entry.reason, entry.run) == (
            MODEL,
            "ann",
            "it answers backwards",
            "rollback-1",
        )
    assert (denied.kind, denied.facts["digest"], denied.facts["version"]) == (EntryKind.DENIED, third.model_sha256, 3)
    assert (deployed.kind, deployed.facts["deployment"]) == (EntryKind.DEPLOYED, record.model_dump(mode="json"))
    assert (deployed.facts["dag_id"], deployed.facts["run_id"]) == ("rollback", "manual__1")
    assert (confirmed.kind, confirmed.actor) == (EntryKind.CONFIRMED, "ann")
    assert confirmed.facts == {"epoch": 4, "version": 2, "model_sha256": second.model_sha256}


def test_a_plan_says_what_would_be_written_and_what_would_return_after_it(desk: Desk) -> None:
    first, second, third = (desk.crown(number) for number in (1, 2, 3))
    plan = plan_rollback(desk.deployments, desk.registry, MODEL)
    assert (plan.model, plan.epoch, plan.champion, plan.target, plan.previous) == (MODEL, 4, third, second, first)
    assert plan.sentence == (
        "demand goes back from version 3 to version 2; version 3 is denied and its data version data3 marked as suspect"
    )
    named = plan_rollback(desk.deployments, desk.registry, MODEL, 1)
    assert (named.target, named.previous) == (first, second), "version 3 would be denied, so it never returns"
    assert desk.epoch == 3


@pytest.mark.parametrize("length", [1, 2_000])
def test_a_reason_may_be_as_long_as_it_says(desk: Desk, length: int) -> None:
    desk.crown(1)
    desk.crown(2)
    take_back(desk, reason=f" {'x' * length} ")
    assert desk.written(EntryKind.DEPLOYED)[-1].reason == "x" * length


def test_without_a_reason_it_is_refused_by_its_name(desk: Desk) -> None:
    with pytest.raises(ReasonMissing, match="A rollback needs a reason of 1 to 2,000 characters"):
        take_back(desk, reason="x" * 2_001)


def test_what_stands_against_it_is_told_of_the_right_model(desk: Desk) -> None:
    for only_since in (None, 1):
        with pytest.raises(NothingServes, match="demand"):
            take_back(desk, only_since=only_since)
    desk.crown(1)
    with pytest.raises(NothingToRollBackTo, match="demand: before version 1, no version served that was confirmed"):
        take_back(desk)
    desk.crown(2)
    desk.deployments.ledger.append(MODEL, EntryKind.LOCKED, "eve", "audit", facts={"version": 2})
    for go_back in (take_back, lambda desk: plan_rollback(desk.deployments, desk.registry, MODEL)):
        with pytest.raises(ChampionLocked, match=r"Version 2 of demand is locked as champion \(audit\)"):
            go_back(desk)
    assert desk.epoch == 2


def test_what_is_denied_is_no_way_back_from_the_version_that_returns_either(desk: Desk) -> None:
    first, second, third = (desk.crown(number) for number in (1, 2, 3))
    desk.crown(4)
    desk.deployments.deny(MODEL, second.model_sha256, By(actor="eve", reason="spoiled"))
    record = take_back(desk)
    assert (record.champion, record.previous) == (third, first)


def test_a_lock_on_another_version_does_not_stop_it(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    desk.deployments.ledger.append(MODEL, EntryKind.LOCKED, "eve", "audit", facts={"version": 1})
    assert take_back(desk).champion == bundle(1)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (6, r"version 6 serves now, since .* UTC by bob \(weekly\)"),
        (9, "it never served"),
        (2, r"it is denied \(spoiled\)"),
        (3, "it served but was never confirmed"),
        (5, "its files are those of the version that serves now"),
    ],
)
def test_a_target_that_cannot_return_is_refused_with_those_that_can(desk: Desk, target: int, problem: str) -> None:
    desk.crown(1)
    desk.crown(2)
    desk.crown(3, is_confirmed=False)
    desk.crown(4)
    desk.crown(5, "twin")
    desk.crown(6, "twin")
    desk.deployments.deny(MODEL, bundle(2).model_sha256, By(actor="eve", reason="spoiled"))
    with pytest.raises(UnfitTarget, match=rf"demand to version {target}: {problem}\. Versions to choose from: 4, 1\.$"):
        take_back(desk, target)
    assert desk.epoch == 6


@pytest.mark.parametrize(
    "gone",
    [
        ArtefactMissing(MODEL, 3, "no files"),
        ArtefactTampered(MODEL, 3, "a", "b"),
        SignatureRefused(SignatureInvalid(bundle(3), "nobody vouches for it")),
        UnknownVersion(MODEL, 3),
    ],
    ids=lambda gone: type(gone).__name__,
)
def test_a_version_whose_files_cannot_be_trusted_does_not_return_and_those_that_could_are_named(
    desk: Desk, gone: UnderstudyError
) -> None:
    for number in (1, 2, 3, 4):
        desk.crown(number)
    desk.shelf.gone = {3: gone, 2: RegistryUnavailable("sqlite", "it is down")}
    before = desk.newest
    with pytest.raises(NothingToRollBackTo, match="demand") as refused:
        take_back(desk)
    assert (refused.value.model, refused.value.problem, refused.value.left) == (MODEL, str(gone).rstrip("."), (1,))
    assert desk.newest == before


def test_two_rollbacks_by_hand_go_back_twice(desk: Desk) -> None:
    for number in (1, 2, 3, 4):
        desk.crown(number)
    for champion, previous in ((3, 2), (2, 1)):
        record = take_back(desk)
        assert (record.champion, record.previous) == (bundle(champion), bundle(previous))


def test_a_run_may_take_back_what_it_promoted_itself_and_does_so_once(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    desk.crown(3, run="retraining-3")
    record = take_back(desk, run="retraining-3", only_since=3)
    assert record.champion.version == 2
    assert take_back(desk, run="retraining-3", only_since=3) == record
    assert desk.epoch == 4
    assert take_back(desk, run="another").champion.version == 1, "what one run did is not done for another"


def test_a_retry_after_others_moved_on_is_left_with_its_own_record(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    record = at_gateways(desk, run="rollback-1")
    desk.crown(3)
    desk.gateways.told.clear()
    assert at_gateways(desk, run="rollback-1", only_since=2) == record
    assert desk.gateways.told == []
    assert desk.epoch == 4


def test_a_retry_does_not_vouch_for_a_record_that_its_run_left_unconfirmed_and_others_replaced(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    record = Deployment(model=MODEL, epoch=3, change=Change.ROLLBACK, champion=bundle(1), previous=None)
    desk.deployments.deploy(record, 2, By(actor="ann", reason="it answers backwards", run="rollback-1"), deny=bundle(2))
    desk.crown(4)
    assert take_back(desk, run="rollback-1") == record
    assert [served.is_confirmed for served in desk.deployments.history(MODEL)] == [True, True, False, True]


def test_only_the_champion_that_was_meant_is_taken_back(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    desk.put_beside(mirror=bundle(1), mirror_share=0.5)
    with pytest.raises(
        EpochConflict, match=r"demand is at epoch 2, not 1: version 2 serves now, since .* by bob \(weekly\)"
    ):
        take_back(desk, only_since=1)
    assert desk.epoch == 3
    assert take_back(desk, only_since=2).epoch == 4


def test_a_rehearsal_that_begins_meanwhile_is_written_over(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    desk.shelf.when_asked = lambda: desk.put_beside(mirror=bundle(1), mirror_share=0.5)
    record = take_back(desk)
    assert (record.epoch, record.champion.version, record.mirror) == (4, 1, None)


def test_a_champion_that_comes_meanwhile_is_not_taken_back(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)

    def promote() -> None:
        desk.crown(3)

    desk.shelf.when_asked = promote
    with pytest.raises(EpochConflict, match=r"demand is at epoch 3, not 2: version 3 serves now.*by bob"):
        take_back(desk)
    assert (desk.epoch, desk.deployments.denied(MODEL)) == (3, {})


def test_aliases_and_tags_follow_and_only_what_the_record_names_stays_at_hand(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.crown(number)
    take_back(desk)
    assert desk.shelf.asked == [
        "keep 2",
        "follow demand 4",
        "deny demand 3 data3 it answers backwards",
        "forget all but 4",
        "keep 1",
    ]


def test_with_the_registry_down_nothing_at_hand_is_given_away(desk: Desk) -> None:
    desk.crown(1)
    desk.crown(2)
    desk.shelf.is_down = True
    assert take_back(desk).epoch == 3
    assert desk.shelf.asked == ["keep 1", "follow demand 3"]


def test_without_gateways_the_champion_is_confirmed_before_it_leaves(desk: Desk) -> None:
    """Its successor may go back to it, if its files were in order while it served."""
    desk.crown(1)
    desk.crown(2, is_confirmed=False)
    take_back(desk)
    assert desk.deployments.confirmed(OTHER) is None
    assert [(served.deployment.epoch, served.is_confirmed) for served in desk.deployments.history(MODEL)] == [
        (1, True),
        (2, True),
        (3, True),
    ]
    assert desk.written(EntryKind.CONFIRMED)[1].actor == "repair"


class TestAtGateways:
    def test_what_is_warm_is_served_and_seen_to_be_before_anything_follows(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.put_beside(mirror=bundle(1), mirror_share=0.5)
        record = at_gateways(desk)
        assert desk.gateways.told == ["serve 1 of epoch 4", "probe demand 1 of epoch 4"]
        assert desk.gateways.terms == [TERMS]
        confirmed = desk.written(EntryKind.CONFIRMED)[-1]
        assert (confirmed.actor, confirmed.facts["terms"]) == ("ann", TERMS.model_dump(mode="json"))
        assert [ack.gateway for ack in desk.deployments.acknowledged(MODEL, record.epoch)] == ["east-1", "west-1"]
        assert desk.shelf.asked[:2] == ["keep 1", "follow demand 4"]

    def test_what_is_not_warm_is_loaded_before_anything_is_written(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.gateways.refusal = GatewayRefused("east", "cannot be loaded")
        with pytest.raises(GatewayRefused):
            at_gateways(desk)
        assert (desk.epoch, desk.gateways.told) == (2, ["prepare 1"])

    def test_one_that_cannot_be_asked_does_not_stop_the_others(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.gateways.refusal = GatewayUnreachable("east", "it is down")
        assert at_gateways(desk).epoch == 3

    def test_one_that_lags_is_told_while_the_record_and_its_aliases_stand(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.gateways.late = {"west"}
        desk.gateways.when_told = desk.touch_another
        with pytest.raises(GatewayLagging, match=r"version 1 of demand serves \(epoch 3\); 1 of 2 places do so"):
            at_gateways(desk, run="rollback-1", within_s=3.0)
        assert desk.gateways.patience_s == {3.0}
        assert [served.is_confirmed for served in desk.deployments.history(MODEL)] == [True, True, False]
        assert "follow demand 3" in desk.shelf.asked
        desk.gateways.late = set()
        assert at_gateways(desk, run="rollback-1").epoch == desk.epoch == 3
        assert desk.deployments.history(MODEL)[-1].is_confirmed

    def test_one_that_answers_as_another_version_lags(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.gateways.wrong = {"east"}
        told = r"version 1 of demand serves \(epoch 3\); 1 of 2 places do so\. Lagging: east: answers as another"
        with pytest.raises(GatewayLagging, match=told) as lagging:
            at_gateways(desk)
        assert [ack.gateway for ack in lagging.value.acks] == ["west-1"]

    def test_without_a_declaration_it_is_served_under_the_terms_that_it_was_served_under_last(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.crown(3, is_confirmed=False)
        desk.deployments.confirm(MODEL, 3, "bob", {"terms": OTHER_TERMS.model_dump(mode="json")})
        take_back(desk, gateways=desk.places)
        assert desk.gateways.terms == [OTHER_TERMS, OTHER_TERMS]
        at_gateways(desk)
        assert desk.gateways.terms[2:] == [TERMS], "what is declared goes first, and version 1 is warm already"

    def test_a_rehearsal_that_begins_while_one_lags_is_sent_in_its_place(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.gateways.late = {"west"}

        def rehearse() -> None:
            desk.put_beside(mirror=bundle(4), mirror_share=0.5)
            desk.gateways.late = set()

        desk.gateways.when_told = rehearse
        assert at_gateways(desk).epoch == 4
        assert desk.gateways.told[-2:] == ["serve 1 of epoch 4", "probe demand 1 of epoch 4"]

    def test_another_champion_that_comes_while_one_lags_wins(self, desk: Desk) -> None:
        desk.crown(1)
        desk.crown(2)
        desk.gateways.late = {"west"}

        def promote() -> None:
            desk.crown(5)

        desk.gateways.when_told = promote
        with pytest.raises(EpochConflict, match="demand is at epoch 4, not 3"):
            at_gateways(desk)
