"""What an earlier touch left half done: completed where that can be vouched for, and told where it cannot."""

from pathlib import Path

import pytest

from tests.unit.hooks.demand import bundle
from tests.unit.hooks.release_desk import MODEL, TERMS, Desk
from understudy.contract.by import By
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Deployment
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.errors import DigestDenied
from understudy.hooks.registry.errors import ArtefactMissing, RegistryRefused, RegistryUnavailable, UnknownVersion
from understudy.hooks.repair import Repair, keep_at_hand, repair


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.crown(1)
    return desk


def mend(desk: Desk) -> Repair:
    return repair(desk.deployments, desk.registry, MODEL)


def mend_at_gateways(desk: Desk) -> Repair:
    return repair(desk.deployments, desk.registry, MODEL, desk.places, TERMS)


def test_where_nothing_was_left_behind_nothing_is_done(desk: Desk, tmp_path: Path) -> None:
    before = desk.newest
    assert mend(desk) == Repair(model=MODEL, epoch=1)
    assert (desk.newest, desk.shelf.asked) == (before, ["follow demand 1"])
    (tmp_path / "empty").mkdir()
    assert mend(Desk(tmp_path / "empty")) == Repair(model=MODEL, epoch=None)


def test_a_record_whose_files_are_in_order_is_confirmed(desk: Desk) -> None:
    desk.crown(2)
    desk.crown(3, is_confirmed=False)
    assert mend(desk) == Repair(model=MODEL, epoch=3, confirmed_now=True)
    confirmed = desk.written(EntryKind.CONFIRMED)[-1]
    assert (confirmed.actor, confirmed.facts) == ("repair", {"epoch": 3, "version": 3, "model_sha256": "digest3"})


@pytest.mark.parametrize(
    "gone",
    [
        ArtefactMissing(MODEL, 2, "no files"),
        UnknownVersion(MODEL, 2),
        RegistryUnavailable("sqlite", "it is down"),
        RegistryRefused("sqlite", "no"),
    ],
    ids=lambda gone: type(gone).__name__,
)
def test_a_record_whose_files_nobody_can_see_stays_unconfirmed_and_is_told(desk: Desk, gone: UnderstudyError) -> None:
    desk.crown(2, is_confirmed=False)
    desk.shelf.gone = {2: gone}
    for left in (mend(desk), mend_at_gateways(desk)):
        assert left == Repair(model=MODEL, epoch=2, left=(f"epoch 2 stays unconfirmed: {gone}",))
    assert not desk.deployments.history(MODEL)[-1].is_confirmed
    assert desk.gateways.told == []


def test_at_gateways_it_is_confirmed_once_all_of_them_serve_it(desk: Desk) -> None:
    desk.crown(2, is_confirmed=False)
    desk.gateways.late = {"west"}
    told = mend_at_gateways(desk)
    assert not told.confirmed_now
    assert "epoch 2 stays unconfirmed: The record says that version 2 of demand serves (epoch 2)" in told.left[0]
    assert "1 of 2 places do so. Lagging: west: is slow" in told.left[0]
    assert not desk.deployments.history(MODEL)[-1].is_confirmed
    desk.gateways.late = set()
    assert mend_at_gateways(desk) == Repair(model=MODEL, epoch=2, confirmed_now=True)
    confirmed = desk.written(EntryKind.CONFIRMED)[-1]
    assert (confirmed.actor, len(desk.deployments.acknowledged(MODEL, 2))) == ("repair", 2)


def test_a_newer_champion_is_left_to_whoever_wrote_it(desk: Desk) -> None:
    desk.crown(2, is_confirmed=False)
    desk.gateways.late = {"west"}

    def promote() -> None:
        desk.crown(3, is_confirmed=False)

    desk.gateways.when_told = promote
    assert mend_at_gateways(desk) == Repair(model=MODEL, epoch=3)
    assert [served.is_confirmed for served in desk.deployments.history(MODEL)] == [True, False, False]


def test_aliases_follow_what_was_written_while_they_were_set(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []

    def follow(record: Deployment) -> dict[Alias, int | None]:
        if not moved:
            desk.crown(2)
        moved.append(record.epoch)
        return {Alias.CHAMPION: record.champion.version}

    monkeypatch.setattr(desk.shelf, "follow", follow)
    assert mend(desk).changed_aliases == {Alias.CHAMPION: 2}
    assert moved == [1, 2]


def test_denied_versions_are_marked_and_digests_without_a_version_are_not(desk: Desk) -> None:
    desk.deployments.deny(MODEL, "digest7", By(actor="eve", reason="spoiled"), bundle=bundle(7))
    desk.deployments.deny(MODEL, "digest8", By(actor="eve", reason="found elsewhere"))
    mend(desk)
    assert desk.shelf.asked == ["follow demand 1", "deny demand 7 data7 spoiled"]
    with pytest.raises(DigestDenied):
        desk.deployments.refuse(bundle(8))


def test_aliases_that_lag_are_told(desk: Desk) -> None:
    desk.shelf.is_down = True
    assert mend(desk).left == (
        "the registry's aliases or tags lag behind the record: The registry sqlite does not answer (it is down). "
        "Check that MLflow runs, then try again.",
    )


def test_all_that_a_record_names_is_kept_at_hand_whatever_else_is_gone(desk: Desk) -> None:
    desk.shelf.gone = {2: ArtefactMissing(MODEL, 2, "no files")}
    record = Deployment(
        model=MODEL,
        epoch=2,
        change=Change.CANARY_STARTED,
        champion=bundle(1),
        previous=bundle(2),
        canary=bundle(3),
        canary_share=0.1,
    )
    keep_at_hand(desk.registry, record)
    mirrored = record.without_canary().model_copy(update={"previous": None, "mirror": bundle(4)})
    keep_at_hand(desk.registry, mirrored)
    assert desk.shelf.asked == ["forget all but 2", "keep 2", "keep 3", "forget all but 2", "keep 4"]
