from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.hooks.demand import WHY, bundle, record
from understudy.contract.by import By
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.release import Deployment
from understudy.contract.serving import Acknowledgement, ServingTerms
from understudy.contract.words import Change, EntryKind, MlTask
from understudy.hooks.deployments import Deployments, Served
from understudy.hooks.errors import ChampionLocked, DigestDenied, EpochConflict, ModelHeld
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.reigns import fit_instead, reigns


@pytest.fixture
def deployments(tmp_path: Path) -> Deployments:
    return Deployments(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))


def test_nothing_serves_at_first(deployments: Deployments) -> None:
    assert deployments.current("demand") is None
    assert deployments.confirmed("demand") is None


def test_the_newest_record_is_the_truth(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deploy(record(2, 2), 1, WHY)
    assert deployments.current("demand") == record(2, 2)
    assert deployments.current("prices") is None


@pytest.mark.parametrize(("over", "found"), [(0, 2), (1, 2), (5, 2)])
def test_a_record_is_written_over_the_expected_one_only(deployments: Deployments, over: int, found: int) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deploy(record(2, 2), 1, WHY)
    with pytest.raises(EpochConflict) as conflict:
        deployments.deploy(record(over + 1, 9), over, WHY, deny=bundle(2))
    assert (conflict.value.expected, conflict.value.found) == (over, found)
    assert deployments.current("demand") == record(2, 2)
    assert deployments.denied("demand") == {}


def test_only_a_confirmed_record_counts_as_confirmed(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.confirm("demand", 1, "ann", {"model_sha256": "digest1"})
    deployments.deploy(record(2, 2), 1, WHY)
    assert deployments.confirmed("demand") == record(1, 1)
    assert [served.is_confirmed for served in deployments.history("demand")] == [True, False]


def test_confirming_twice_is_confirming_once(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    assert deployments.confirm("demand", 1, "ann", {}) == deployments.confirm("demand", 1, "repair", {})
    assert len(deployments.ledger.entries("demand", [EntryKind.CONFIRMED])) == 1


def test_the_champion_of_any_moment_can_be_named(deployments: Deployments) -> None:
    first = deployments.deploy(record(1, 1), 0, WHY)
    second = deployments.deploy(record(2, 2), 1, WHY)
    deployments.deploy(record(1, 9).model_copy(update={"model": "price"}), 0, WHY)
    deployments.confirm("demand", 1, "ann", {})
    named = [
        deployments.ledger.champion_at("demand", at) for at in (first.at, second.at, second.at + timedelta(days=1))
    ]
    assert named == [record(1, 1), record(2, 2), record(2, 2)]
    assert deployments.ledger.champion_at("demand", first.at - timedelta(microseconds=1)) is None


def test_a_denied_digest_does_not_serve_under_another_number(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deny("demand", "digest2", By(actor="ann", reason="answers backwards"), bundle=bundle(2))
    for refuse in (
        lambda: deployments.deploy(record(2, 7, "digest2"), 1, WHY),
        lambda: deployments.refuse(bundle(7, "digest2")),
    ):
        with pytest.raises(DigestDenied, match="answers backwards"):
            refuse()
    assert deployments.current("demand") == record(1, 1)
    assert deployments.denials("demand")[0].data_version == "data2"


def test_denying_and_deploying_are_one_act(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deploy(record(2, 2), 1, WHY)
    deployments.deploy(
        record(3, 1, change=Change.ROLLBACK), 2, By(actor="ann", reason="bad answers", run="run"), deny=bundle(2)
    )
    assert deployments.denied("demand") == {"digest2": "bad answers"}
    kinds = [entry.kind for entry in deployments.ledger.entries("demand", run="run")]
    assert kinds == [EntryKind.DENIED, EntryKind.DEPLOYED]


def test_a_locked_champion_stays_until_it_is_unlocked(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.ledger.append("demand", EntryKind.LOCKED, "ann", "audit", facts={"version": 1})
    for change in (Change.PROMOTION, Change.ROLLBACK):
        with pytest.raises(ChampionLocked, match=r"audit.*Unlock it first"):
            deployments.deploy(record(2, 2, change=change), 1, WHY)
    deployments.ledger.append("demand", EntryKind.UNLOCKED, "ann", "audit is over", facts={"version": 1})
    deployments.deploy(record(2, 2), 1, WHY)
    assert deployments.locked("demand") == {}


def test_a_rehearsal_is_written_beside_a_locked_champion_and_never_of_a_denied_one(deployments: Deployments) -> None:
    first = record(1, 1)
    deployments.deploy(first, 0, WHY)
    deployments.ledger.append("demand", EntryKind.LOCKED, "ann", "audit", facts={"version": 1})
    beside = first.model_copy(
        update={"epoch": 2, "change": Change.MIRROR_STARTED, "mirror": bundle(2), "mirror_share": 0.5}
    )
    deployments.deploy(beside, 1, WHY)
    deployments.deny("demand", "digest3", By(actor="ann", reason="bad answers"))
    with pytest.raises(DigestDenied):
        deployments.deploy(beside.model_copy(update={"epoch": 3, "mirror": bundle(3)}), 2, WHY)


def beside(epoch: int, change: Change, **more: Any) -> Deployment:
    """Give a record that leaves version 1 champion."""
    return record(1, 1).model_copy(update={"epoch": epoch, "change": change, **more})


CANARY = {"canary": bundle(2), "canary_share": 0.1}
MIRROR = {"mirror": bundle(2), "mirror_share": 0.5}


def test_no_epoch_is_left_out(deployments: Deployments) -> None:
    with pytest.raises(EpochConflict):
        deployments.deploy(record(2, 1), 0, WHY)
    assert deployments.ledger.entries() == []


@pytest.mark.parametrize("change", [Change.CANARY_STARTED, Change.CANARY_STEPPED])
def test_no_caller_goes_to_a_canary_beside_a_locked_champion_or_to_one_that_is_denied(
    deployments: Deployments, change: Change
) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.ledger.append("demand", EntryKind.LOCKED, "ann", "audit", facts={"version": 1})
    with pytest.raises(ChampionLocked):
        deployments.deploy(beside(2, change, **CANARY), 1, WHY)
    deployments.ledger.append("demand", EntryKind.UNLOCKED, "ann", "it is over", facts={"version": 1})
    deployments.deny("demand", "digest2", By(actor="ann", reason="bad answers"))
    with pytest.raises(DigestDenied):
        deployments.deploy(beside(2, change, **CANARY), 1, WHY)
    assert deployments.current("demand") == record(1, 1)


@pytest.mark.parametrize(
    ("change", "more", "is_held"),
    [
        (Change.PROMOTION, {"champion": bundle(2)}, True),
        (Change.CANARY_STARTED, CANARY, True),
        (Change.CANARY_STEPPED, CANARY, True),
        (Change.ROLLBACK, {"champion": bundle(2)}, False),
        (Change.CANARY_ENDED, {}, False),
        (Change.MIRROR_STARTED, MIRROR, False),
        (Change.MIRROR_ENDED, {}, False),
    ],
    ids=lambda told: told.value if isinstance(told, Change) else "",
)
def test_a_hold_keeps_challengers_from_callers_and_nothing_else(
    deployments: Deployments, change: Change, more: dict[str, Any], is_held: bool
) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.ledger.append("prices", EntryKind.HELD, "carl", "another model")
    deployments.ledger.append("demand", EntryKind.HELD, "carl", "stocktaking")
    if is_held:
        for refuse in (
            lambda: deployments.deploy(beside(2, change, **more), 1, WHY),
            lambda: deployments.refuse(bundle(2)),
        ):
            with pytest.raises(ModelHeld, match="stocktaking"):
                refuse()
        assert deployments.current("demand") == record(1, 1)
        deployments.ledger.append("demand", EntryKind.RELEASED, "carl", "it is over")
        deployments.refuse(bundle(2))
    deployments.deploy(beside(2, change, **more), 1, WHY)


def test_what_has_been_rehearsed_is_not_what_a_lock_or_a_denial_of_the_champion_is_about(
    deployments: Deployments,
) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deny("demand", "digest1", By(actor="ann", reason="found out later"))
    deployments.deploy(beside(2, Change.MIRROR_STARTED, **MIRROR), 1, WHY)
    deployments.deploy(beside(3, Change.MIRROR_ENDED), 2, WHY)


def test_what_gateways_did_already_goes_past_a_lock_and_not_past_a_denial(deployments: Deployments) -> None:
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.ledger.append("demand", EntryKind.LOCKED, "ann", "audit", facts={"version": 1})
    deployments.deny("demand", "digest3", By(actor="ann", reason="bad answers"))
    with pytest.raises(DigestDenied):
        deployments.deploy(record(2, 3, change=Change.ROLLBACK), 1, WHY, past_lock=True)
    deployments.deploy(record(2, 2, change=Change.ROLLBACK), 1, WHY, past_lock=True)


def test_each_record_has_its_own_acknowledgements(deployments: Deployments) -> None:
    acks = [
        Acknowledgement(gateway=name, model="demand", epoch=epoch, version=epoch, flip_ms=1.0)
        for epoch, name in enumerate(("east", "west"), start=1)
    ]
    for ack in acks:
        deployments.deploy(record(ack.epoch, ack.epoch), ack.epoch - 1, WHY)
        deployments.confirm("demand", ack.epoch, "ann", {"acks": [ack.model_dump(mode="json")]})
    assert [deployments.acknowledged("demand", ack.epoch) for ack in acks] == [(ack,) for ack in acks]


def test_the_terms_of_the_newest_confirmation_that_has_some_are_the_last_ones(deployments: Deployments) -> None:
    terms = [ServingTerms(task=MlTask.REGRESSION, serving=ServingSpec(max_rows=number)) for number in (1, 2)]
    for epoch, told in enumerate(terms, start=1):
        deployments.deploy(record(epoch, epoch), epoch - 1, WHY)
        deployments.confirm("demand", epoch, "ann", {"terms": told.model_dump(mode="json")})
    deployments.deploy(record(3, 3), 2, WHY)
    deployments.confirm("demand", 3, "ann", {})
    assert deployments.last_terms("demand") == terms[-1]


def test_records_beside_the_champion_belong_to_its_reign(deployments: Deployments) -> None:
    first, second = record(1, 1), record(3, 2)
    deployments.deploy(first, 0, By(actor="ann", reason="weekly", run="run1"))
    beside = first.model_copy(update={"epoch": 2, "change": Change.MIRROR_STARTED, "mirror": bundle(2)})
    deployments.deploy(beside, 1, By(actor="bob", reason="rehearsal", run="run2"))
    deployments.confirm("demand", 2, "bob", {})
    deployments.deploy(second, 2, By(actor="ann", reason="weekly", run="run2"))
    told = reigns(deployments.history("demand"))
    assert [(reign.champion.version, reign.epoch, reign.actor, reign.run, reign.is_confirmed) for reign in told] == [
        (1, 1, "ann", "run1", True),
        (2, 3, "ann", "run2", False),
    ]
    assert fit_instead(second.champion, deployments.history("demand"), {}) == [first.champion]
    began = deployments.ledger.entries("demand", [EntryKind.DEPLOYED])[0]
    assert (told[0].at, told[0].reason) == (began.at, "weekly")
    unconfirmed = second.model_copy(update={"epoch": 4, "change": Change.MIRROR_STARTED, "mirror": bundle(1)})
    deployments.deploy(unconfirmed, 3, By(actor="bob", reason="rehearsal"))
    assert not reigns(deployments.history("demand"))[-1].is_confirmed
    deployments.confirm("demand", 3, "ann", {})
    assert reigns(deployments.history("demand"))[-1].is_confirmed, (
        "what a gateway has not acknowledged is the rehearsal"
    )


def test_what_serves_of_all_models_is_read_at_once(deployments: Deployments) -> None:
    assert deployments.all_current() == []
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deploy(record(2, 2), 1, WHY)
    other = Deployment(model="price", epoch=1, change=Change.PROMOTION, champion=bundle(5), previous=None)
    deployments.deploy(other, 0, WHY)
    deployments.confirm("price", 1, "ann", {})
    assert deployments.all_current() == [record(2, 2), other]
    assert deployments.acknowledged("price", 1) == ()
    assert deployments.last_terms("price") is None


def test_a_lock_on_another_version_does_not_matter_yet(deployments: Deployments) -> None:
    deployments.ledger.append("demand", EntryKind.LOCKED, "ann", "audit", facts={"version": 2})
    deployments.deploy(record(1, 1), 0, WHY)
    deployments.deploy(record(2, 2), 1, WHY)
    with pytest.raises(ChampionLocked):
        deployments.deploy(record(3, 3), 2, WHY)


versions = st.integers(1, 6)


@given(
    steps=st.lists(st.tuples(versions, st.booleans()), min_size=1, max_size=12),
    denied=st.sets(versions),
    twins=st.dictionaries(versions, versions),
)
def test_only_what_served_was_confirmed_and_is_not_denied_may_return(
    steps: list[tuple[int, bool]],
    denied: set[int],
    twins: dict[int, int],
) -> None:
    def digest(version: int) -> str:
        return f"digest{twins.get(version, version)}"

    history = [
        Served.model_validate(
            {
                "deployment": record(epoch, version, digest(version)),
                "at": "2026-01-01T00:00:00Z",
                "actor": "a",
                "reason": "r",
                "run": None,
                "is_confirmed": confirmed,
            }
        )
        for epoch, (version, confirmed) in enumerate(steps, 1)
    ]
    champion = history[-1].deployment.champion
    banned = {digest(version): "bad" for version in denied}
    fit = fit_instead(champion, history, banned)
    may = [
        version
        for version, confirmed in steps
        if confirmed and digest(version) not in banned and digest(version) != champion.model_sha256
    ]
    assert {found.version for found in fit} == set(may)
    assert [found.version for found in fit[:1]] == may[-1:]
    assert len(fit) == len(set(may))
