"""Promotions on a real ledger: whom they replace, in which order, and what is left alone when one is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.hooks.demand import bundle, by
from tests.unit.hooks.release_desk import MODEL, TERMS, Desk
from understudy.contract.by import By
from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.errors import ChampionLocked, DigestDenied, ModelHeld, StaleBlessing, UnknownBlessing
from understudy.hooks.places.gateway_errors import GatewayLagging, GatewayRefused
from understudy.hooks.promotion import promote
from understudy.hooks.registry.errors import ArtefactTampered


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def raise_up(desk: Desk, blessing: Blessing, **more: Any) -> Deployment:
    return promote(desk.deployments, desk.registry, blessing, by=by(more, "weekly"), **more)


def at_gateways(desk: Desk, blessing: Blessing, **more: Any) -> Deployment:
    return raise_up(desk, blessing, gateways=desk.places, terms=TERMS, **more)


def test_it_is_written_whole_under_the_name_of_who_asked_for_it(desk: Desk) -> None:
    first = desk.crown(1)
    desk.crown(2, is_confirmed=False)
    desk.shelf.gone = {2: ArtefactTampered(MODEL, 2, "a", "b")}
    desk.crown(3)
    desk.deployments.deny(MODEL, bundle(3).model_sha256, By(actor="eve", reason="spoiled"))
    blessing = desk.bless(bundle(4))
    before = desk.newest
    record = raise_up(desk, blessing, run="retraining-4", mirror=0.5)
    assert record == Deployment(
        model=MODEL,
        epoch=4,
        change=Change.PROMOTION,
        champion=bundle(4),
        previous=first,
        blessing=blessing,
        mirror=first,
        mirror_share=0.5,
    ), "neither what was never confirmed nor what is denied is a way back"
    deployed, confirmed = desk.written(after=before)
    assert (deployed.kind, deployed.model, deployed.actor, deployed.reason, deployed.run) == (
        EntryKind.DEPLOYED,
        MODEL,
        "ann",
        "weekly",
        "retraining-4",
    )
    assert (confirmed.kind, confirmed.actor) == (EntryKind.CONFIRMED, "ann")
    assert confirmed.facts == {"epoch": 4, "version": 4, "model_sha256": "digest4"}


def test_the_first_one_replaces_nobody_and_is_mirrored_by_nobody(desk: Desk) -> None:
    record = raise_up(desk, desk.bless(bundle(1)), mirror=0.5)
    assert (record.epoch, record.previous, record.mirror, record.mirror_share) == (1, None, None, 0.0)


def test_without_a_guard_the_one_before_answers_nothing_more(desk: Desk) -> None:
    first = desk.crown(1)
    record = raise_up(desk, desk.bless(bundle(2)))
    assert (record.previous, record.mirror, record.mirror_share) == (first, None, 0.0)


def test_files_are_verified_before_the_record_and_aliases_follow_it(desk: Desk) -> None:
    desk.crown(1)
    raise_up(desk, desk.bless(bundle(2)))
    assert desk.shelf.asked == ["follow demand 1", "keep 2", "follow demand 2", "forget all but 2", "keep 1"]


@pytest.mark.parametrize("changed", [{"judgement_sha256": "other"}, {"rubber_stamped": True}, {"champion_epoch": 2}])
def test_a_blessing_that_is_not_the_recorded_one_is_none(desk: Desk, changed: dict[str, Any]) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2), judgement="as recorded")
    with pytest.raises(UnknownBlessing, match=r"no blessing of version 2 of demand with judgement (as recorded|other)"):
        raise_up(desk, blessing.model_copy(update=changed))
    assert (desk.epoch, "keep 2" in desk.shelf.asked) == (1, False)


def test_a_blessing_counts_whatever_was_blessed_after_it(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    desk.bless(bundle(3))
    assert raise_up(desk, blessing).champion == bundle(2)


def test_what_forbids_it_is_asked_before_anything_is_loaded(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    ledger = desk.deployments.ledger
    ledger.append(MODEL, EntryKind.HELD, "eve", "stocktaking")
    with pytest.raises(ModelHeld):
        at_gateways(desk, blessing)
    ledger.append(MODEL, EntryKind.RELEASED, "eve", "it is over")
    ledger.append(MODEL, EntryKind.LOCKED, "eve", "audit", facts={"version": 1})
    with pytest.raises(ChampionLocked):
        at_gateways(desk, blessing)
    ledger.append(MODEL, EntryKind.UNLOCKED, "eve", "it is over", facts={"version": 1})
    desk.deployments.deny(MODEL, "digest2", By(actor="eve", reason="spoiled"))
    with pytest.raises(DigestDenied):
        at_gateways(desk, blessing)
    assert (desk.epoch, desk.gateways.told, "keep 2" in desk.shelf.asked) == (1, [], False)


def test_over_another_champion_than_it_was_judged_against_nothing_is_loaded(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    desk.crown(3)
    with pytest.raises(StaleBlessing, match=r"judged against version 1 \(epoch 1\), but version 3 \(epoch 2\) serves"):
        at_gateways(desk, blessing)
    assert (desk.epoch, desk.gateways.told, "keep 2" in desk.shelf.asked) == (2, [], False)


def test_a_champion_that_comes_while_files_are_verified_stays(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))

    def promote_another() -> None:
        desk.crown(3)

    desk.shelf.when_asked = promote_another
    with pytest.raises(StaleBlessing):
        raise_up(desk, blessing)
    assert desk.epoch == 2


def test_a_rehearsal_that_ends_meanwhile_is_written_over(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    desk.shelf.when_asked = lambda: desk.put_beside(mirror=bundle(2), mirror_share=0.5)
    record = raise_up(desk, blessing)
    assert (record.epoch, record.champion, record.mirror) == (3, bundle(2), None)


def test_what_serves_already_is_not_written_again(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    record = raise_up(desk, blessing)
    before = desk.newest
    assert raise_up(desk, blessing) == record
    assert desk.newest == before


def test_what_an_earlier_call_left_unconfirmed_is_completed_only_if_its_files_are_in_order(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    desk.crown(2, is_confirmed=False)
    desk.shelf.gone = {2: ArtefactTampered(MODEL, 2, "a", "b")}
    assert raise_up(desk, blessing).epoch == 2
    assert not desk.deployments.history(MODEL)[-1].is_confirmed
    desk.shelf.gone = {}
    assert raise_up(desk, blessing).epoch == 2
    assert desk.written(EntryKind.CONFIRMED)[-1].actor == "repair"


def test_a_champion_that_was_left_unconfirmed_is_confirmed_by_its_gateways_before_it_is_replaced(desk: Desk) -> None:
    desk.crown(1)
    second = desk.crown(2, is_confirmed=False)
    assert at_gateways(desk, desk.bless(bundle(3))).previous == second
    assert desk.gateways.told == [
        "serve 2 of epoch 2",
        "prepare 3",
        "serve 3 of epoch 3",
        "probe demand 3 of epoch 3",
    ]
    assert len(desk.deployments.acknowledged(MODEL, 2)) == 2


def test_every_gateway_is_ready_before_the_record_and_serves_after_it(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    desk.gateways.refusal = GatewayRefused("east", "cannot be loaded")
    with pytest.raises(GatewayRefused):
        at_gateways(desk, blessing)
    assert (desk.epoch, desk.gateways.told) == (1, ["prepare 2"])
    desk.gateways.refusal = None
    desk.gateways.when_told = desk.touch_another
    assert at_gateways(desk, blessing).epoch == 2
    assert desk.shelf.asked[-3:] == ["follow demand 2", "forget all but 2", "keep 1"]
    assert desk.gateways.told[1:] == ["prepare 2", "serve 2 of epoch 2", "probe demand 2 of epoch 2"]
    confirmed = desk.written(EntryKind.CONFIRMED)[-1]
    assert (confirmed.actor, confirmed.facts["terms"]) == ("ann", TERMS.model_dump(mode="json"))


def test_a_model_that_nobody_serves_is_promoted_without_its_gateways(desk: Desk) -> None:
    desk.crown(1)
    assert raise_up(desk, desk.bless(bundle(2)), gateways=desk.places, terms=None).epoch == 2
    assert desk.gateways.told == []
    assert desk.deployments.history(MODEL)[-1].is_confirmed


def test_one_that_lags_leaves_the_record_unconfirmed_until_the_same_call_completes_it(desk: Desk) -> None:
    desk.crown(1)
    blessing = desk.bless(bundle(2))
    desk.gateways.late = {"west"}
    with pytest.raises(GatewayLagging, match=r"version 2 of demand serves \(epoch 2\); 1 of 2 places do so"):
        at_gateways(desk, blessing, within_s=3.0)
    assert desk.gateways.patience_s == {3.0}
    assert not desk.deployments.history(MODEL)[-1].is_confirmed
    desk.gateways.late = set()
    desk.gateways.told.clear()
    assert at_gateways(desk, blessing).epoch == desk.epoch == 2
    assert desk.gateways.told == ["serve 2 of epoch 2", "probe demand 2 of epoch 2"]
    assert desk.deployments.history(MODEL)[-1].is_confirmed
