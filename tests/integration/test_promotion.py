"""Promotion through the real ledger and a real MLflow on SQLite."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.promotion_desk import WHO, Desk, desk, home, unchecked_desk
from tests.keys import key_pair
from understudy.contract.by import By
from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.errors import ChampionLocked, DigestDenied, LedgerDamaged, StaleBlessing, UnknownBlessing
from understudy.hooks.promotion import promote
from understudy.hooks.registry.errors import ArtefactMissing, ArtefactTampered, RegistryUnavailable, SignatureRefused
from understudy.hooks.registry.registry import Registry
from understudy.hooks.repair import repair
from understudy.signatures import Signatures

__all__ = ["desk", "home", "unchecked_desk"]


def dead(desk: Desk, tmp_path: Path) -> Registry:
    (tmp_path / "dead.db").mkdir()
    return Registry(f"sqlite:///{tmp_path / 'dead.db'}", tmp_path.as_uri(), desk.home / "bundles")


def test_the_first_blessed_model_becomes_champion(desk: Desk) -> None:
    record = desk.raise_champion(1)
    assert (record.epoch, record.champion.version, record.previous) == (1, 1, None)
    assert desk.deployments.current(desk.model) == desk.deployments.confirmed(desk.model) == record
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 1}


def test_a_challenger_that_nobody_vouches_for_is_refused(desk: Desk, tmp_path: Path) -> None:
    first, second = desk.raise_champion(1), desk.bless(desk.train(2))
    strict = Registry(
        f"sqlite:///{desk.home / 'mlflow.db'}",
        (desk.home / "artifacts").as_uri(),
        desk.home / "bundles",
        signatures=Signatures.by((key_pair(tmp_path / "key").with_suffix(".pub"),)),
    )
    with pytest.raises(SignatureRefused, match=r"Version 2 of .* is not to be trusted: it is not signed"):
        replace(desk, registry=strict).promote(second)
    assert desk.deployments.current(desk.model) == first


def test_the_next_one_remembers_whom_it_replaced(desk: Desk) -> None:
    first, second = desk.raise_champion(1), desk.raise_champion(2)
    assert (second.epoch, second.previous) == (2, first.champion)
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 2, Alias.PREVIOUS_CHAMPION: 1}
    assert desk.kept(first.champion).is_dir()
    assert desk.kept(second.champion).is_dir()


def test_old_local_copies_go(desk: Desk) -> None:
    records = [desk.raise_champion(number) for number in (1, 2, 3)]
    assert [desk.kept(record.champion).exists() for record in records] == [False, True, True]


def test_promoting_what_serves_changes_nothing(desk: Desk) -> None:
    blessing = desk.bless(desk.train(1))
    record = desk.promote(blessing)
    written = len(desk.deployments.ledger.entries())
    assert desk.promote(blessing) == record
    assert len(desk.deployments.ledger.entries()) == written


def refused(desk: Desk, blessing: Blessing, because: type[Exception]) -> None:
    before = desk.deployments.current(desk.model)
    aliases = desk.registry.aliases(desk.model)
    with pytest.raises(because):
        desk.promote(blessing)
    assert desk.deployments.current(desk.model) == before
    assert desk.registry.aliases(desk.model) == aliases


def test_a_blessing_against_an_earlier_champion_is_stale(desk: Desk) -> None:
    desk.raise_champion(1)
    stale = desk.bless(desk.train(2))
    desk.raise_champion(3)
    refused(desk, stale, StaleBlessing)
    with pytest.raises(StaleBlessing, match=r"against version 1 \(epoch 1\), but version 3 \(epoch 2\) serves now"):
        desk.promote(stale)


def test_a_blessing_that_names_another_champion_is_stale_whatever_its_epoch(desk: Desk) -> None:
    desk.raise_champion(1)
    wrong = desk.bless(desk.train(2)).model_copy(update={"champion_version": 9})
    desk.deployments.ledger.append(desk.model, EntryKind.BLESSED, "ann", "x", facts=wrong.model_dump(mode="json"))
    refused(desk, wrong, StaleBlessing)


def test_a_blessing_that_nobody_recorded_is_refused(desk: Desk) -> None:
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    refused(desk, blessing.model_copy(update={"judgement_sha256": "b" * 64}), UnknownBlessing)
    swapped = blessing.challenger.model_copy(update={"model_sha256": "c" * 64})
    refused(desk, blessing.model_copy(update={"challenger": swapped}), UnknownBlessing)


def test_a_denied_digest_is_refused(desk: Desk) -> None:
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    desk.deployments.deny(desk.model, blessing.challenger.model_sha256, By(actor="ann", reason="harmful"))
    refused(desk, blessing, DigestDenied)


def test_a_locked_champion_is_not_replaced(desk: Desk) -> None:
    desk.raise_champion(1)
    desk.deployments.ledger.append(desk.model, EntryKind.LOCKED, "ann", "audit", facts={"version": 1})
    refused(desk, desk.bless(desk.train(2)), ChampionLocked)


def test_a_tampered_challenger_is_refused(desk: Desk) -> None:
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    weights = desk.stored(blessing.challenger) / "weights.bin"
    weights.write_bytes(b"\xff" + weights.read_bytes()[1:])
    refused(desk, blessing, ArtefactTampered)


def test_a_challenger_without_files_is_refused(desk: Desk) -> None:
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    stored = desk.stored(blessing.challenger)
    stored.rename(stored.with_name("gone"))
    refused(desk, blessing, ArtefactMissing)


def test_a_dead_registry_keeps_the_champion(desk: Desk, tmp_path: Path) -> None:
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    before = desk.deployments.current(desk.model)
    with pytest.raises(RegistryUnavailable):
        promote(desk.deployments, dead(desk, tmp_path), blessing, by=WHO)
    assert desk.deployments.current(desk.model) == before


def test_a_registry_that_dies_after_the_record_is_caught_up_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    with monkeypatch.context() as patch:

        def die(*_: Any) -> None:
            raise RegistryUnavailable("mlflow", "down")

        patch.setattr(Registry, "follow", die)
        assert desk.promote(blessing).champion.version == 2
    assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == 1
    done = repair(desk.deployments, desk.registry, desk.model)
    assert done.changed_aliases == {Alias.CHAMPION: 2, Alias.PREVIOUS_CHAMPION: 1, Alias.CHALLENGER: None}
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 2, Alias.PREVIOUS_CHAMPION: 1}
    assert not repair(desk.deployments, desk.registry, desk.model).changed_aliases


def test_aliases_follow_a_record_that_was_written_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = desk.raise_champion(1).champion
    blessing = desk.bless(desk.train(2))
    real, newest = Registry.follow, list[Deployment]()

    def somebody_rolls_back(registry: Registry, record: Deployment) -> Any:
        if record.epoch == 2 and not newest:
            newest.append(Deployment(model=desk.model, epoch=3, change=Change.ROLLBACK, champion=first, previous=None))
            desk.deployments.deploy(newest[0], 2, By(actor="bob", reason="it answers backwards"))
            real(registry, newest[0])
        return real(registry, record)

    monkeypatch.setattr(Registry, "follow", somebody_rolls_back)
    desk.promote(blessing)
    assert desk.deployments.current(desk.model) == newest[0]
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 1}


def test_aliases_that_somebody_moved_are_set_right(desk: Desk) -> None:
    desk.raise_champion(1)
    desk.train(2)
    with desk.registry._mlflow.asking() as client:
        client.set_registered_model_alias(desk.model, "champion", "2")
    assert repair(desk.deployments, desk.registry, desk.model).changed_aliases == {Alias.CHAMPION: 1}


def test_what_cannot_be_verified_stays_unconfirmed_and_is_said(desk: Desk, tmp_path: Path) -> None:
    bundle = desk.train(1)
    blessing = desk.bless(bundle)
    record = Deployment(
        model=desk.model, epoch=1, change=Change.PROMOTION, champion=bundle, previous=None, blessing=blessing
    )
    desk.deployments.deploy(record, 0, By(actor="ann", reason="a death followed"))
    stored = desk.stored(bundle)
    stored.rename(stored.with_name("gone"))
    done = repair(desk.deployments, desk.registry, desk.model)
    assert not done.confirmed_now
    assert "stays unconfirmed" in done.left[0]
    assert desk.deployments.confirmed(desk.model) is None
    stored.with_name("gone").rename(stored)
    assert repair(desk.deployments, desk.registry, desk.model).confirmed_now
    assert desk.deployments.confirmed(desk.model) == record


def test_an_unconfirmed_champion_is_no_target_of_a_later_rollback(desk: Desk) -> None:
    first = desk.raise_champion(1)
    lost = desk.train(2)
    record = Deployment(model=desk.model, epoch=2, change=Change.PROMOTION, champion=lost, previous=first.champion)
    desk.deployments.deploy(record, 1, By(actor="ann", reason="a death followed"))
    desk.stored(lost).rename(desk.stored(lost).with_name("gone"))
    assert desk.raise_champion(3).previous == first.champion


def test_a_changed_record_does_not_serve(unchecked_desk: Desk, tmp_path: Path) -> None:
    desk = unchecked_desk
    desk.raise_champion(1)
    blessing = desk.bless(desk.train(2))
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        raw.execute("DROP TRIGGER ledger_keeps_rows")
        raw.execute("UPDATE ledger SET facts = replace(facts, '\"epoch\":1', '\"epoch\":7') WHERE kind = 'deployed'")
    raw.close()
    with pytest.raises(LedgerDamaged):
        desk.promote(blessing)
    assert not desk.deployments.ledger.verify().ok
    assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == 1
