"""Promotions and rehearsals that take effect at gateways: all of them, or they are not confirmed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway_desk import TERMS, Desk, desk_at
from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import DigestDenied, EpochConflict, NothingServes, NothingToRehearse, StaleBlessing
from understudy.hooks.places.gateway_errors import GatewayLagging, GatewayRefused, GatewayUnreachable
from understudy.hooks.registry.registry import Registry
from understudy.hooks.reigns import reigns
from understudy.hooks.repair import repair


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("at-gateways")


@pytest.fixture
def desk(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with desk_at(home, tmp_path, f"m{abs(hash(request.node.name))}") as made:
        yield made


class TestPromotion:
    def test_every_gateway_serves_before_it_is_confirmed(self, desk: Desk) -> None:
        record = desk.raise_champion(1)
        assert desk.served() == [(1, 1), (1, 1)]
        assert desk.deployments.confirmed(desk.model) == record
        acks = desk.deployments.acknowledged(desk.model, 1)
        assert [(ack.gateway, ack.flip_ms) for ack in acks] == [("east", 1.5), ("west", 1.5)]
        assert desk.deployments.last_terms(desk.model) == TERMS
        assert [len(gateway.probes) for gateway in (desk.east, desk.west)] == [1, 1]
        assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 1}

    def test_nothing_is_written_where_one_cannot_prepare(self, desk: Desk) -> None:
        first = desk.raise_champion(1)
        blessing = desk.bless(desk.train(2))
        desk.west.is_down = True
        with pytest.raises(GatewayUnreachable):
            desk.promote(blessing)
        desk.west.is_down = False
        desk.west.refuses[2] = "its input example does not score"
        with pytest.raises(GatewayRefused, match="input example"):
            desk.promote(blessing)
        assert desk.deployments.current(desk.model) == first
        assert desk.served() == [(1, 1), (1, 1)]

    def test_one_that_lags_leaves_the_record_unconfirmed_and_a_retry_completes_it(self, desk: Desk) -> None:
        desk.raise_champion(1)
        blessing = desk.bless(desk.train(2))
        prepare = desk.gateways.prepare

        def prepare_and_die(order: Any, within_s: float = 60) -> None:
            prepare(order, within_s)
            desk.west.status = 422

        desk.gateways.prepare = prepare_and_die  # type: ignore[method-assign]
        with pytest.raises(GatewayLagging) as lagging:
            desk.promote(blessing)
        assert [late.gateway for late in lagging.value.lagging] == [desk.west.url]
        assert [ack.gateway for ack in lagging.value.acks] == ["east"]
        assert desk.served() == [(2, 2), (1, 1)]
        assert not desk.is_confirmed()
        assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == 1
        assert "stays unconfirmed" in repair(desk.deployments, desk.registry, desk.model, desk.gateways, TERMS).left[0]
        desk.west.status = None
        record = desk.promote(blessing)
        assert (record.epoch, desk.served()) == (2, [(2, 2), (2, 2)])
        assert desk.is_confirmed()
        assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == 2

    def test_an_answer_of_another_version_is_told_again_and_again(self, desk: Desk) -> None:
        desk.raise_champion(1)
        blessing = desk.bless(desk.train(2))
        desk.west.answers_as = 1
        for _ in range(2):
            with pytest.raises(GatewayLagging, match="answered by version 1") as lagging:
                desk.promote(blessing)
            assert [ack.gateway for ack in lagging.value.acks] == ["east"]
        desk.west.answers_as = None
        assert desk.promote(blessing).champion.version == 2

    def test_the_previous_champion_goes_on_unseen_in_the_probation(self, desk: Desk) -> None:
        first = desk.raise_champion(1).champion
        record = desk.promote(desk.bless(desk.train(2)), mirror=0.25)
        assert (record.mirror, record.mirror_share, record.previous) == (first, 0.25, first)
        assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 2, Alias.PREVIOUS_CHAMPION: 1}
        ended = desk.end(run="run2")
        assert ended is not None
        assert (ended.change, ended.champion.version, ended.mirror) == (Change.MIRROR_ENDED, 2, None)
        assert desk.east.orders[desk.model].record == ended

    def test_the_first_champion_has_nobody_to_be_mirrored_by(self, desk: Desk) -> None:
        record = desk.promote(desk.bless(desk.train(1)), mirror=0.25)
        assert (record.mirror, record.mirror_share) == (None, 0.0)

    def test_a_rehearsal_in_between_makes_no_blessing_stale(self, desk: Desk) -> None:
        desk.raise_champion(1)
        challenger = desk.train(2)
        blessing = desk.bless(challenger)
        desk.rehearse(challenger)
        desk.end()
        record = desk.promote(blessing)
        assert (record.epoch, record.champion_since) == (4, 4)
        assert desk.deployments.current(desk.model) == record

    def test_a_rehearsal_that_ends_at_the_same_moment_does_not_stop_it(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.raise_champion(1)
        challenger = desk.train(2)
        blessing = desk.bless(challenger)
        desk.rehearse(challenger)
        real, ended = Deployments.deploy, list[Deployment | None]()

        def end_first(deployments: Deployments, record: Deployment, *args: Any, **kwargs: Any) -> Any:
            if record.change is Change.PROMOTION and not ended:
                ended.append(None)
                ended[0] = desk.end()
            return real(deployments, record, *args, **kwargs)

        monkeypatch.setattr(Deployments, "deploy", end_first)
        record = desk.promote(blessing)
        assert (record.epoch, record.champion) == (4, challenger)

    def test_another_champion_still_makes_it_stale(self, desk: Desk) -> None:
        desk.raise_champion(1)
        blessing = desk.bless(desk.train(2))
        desk.raise_champion(3)
        with pytest.raises(StaleBlessing):
            desk.promote(blessing)


class TestRehearsal:
    def test_it_begins_and_ends_beside_the_champion(self, desk: Desk) -> None:
        first = desk.raise_champion(1)
        challenger = desk.train(2)
        record = desk.rehearse(challenger)
        assert (record.champion, record.champion_since, record.previous) == (first.champion, 1, None)
        assert (record.change, record.mirror, record.mirror_share) == (Change.MIRROR_STARTED, challenger, 0.5)
        assert desk.served() == [(1, 2), (1, 2)]
        assert desk.east.prepared[-1] == 2
        assert desk.is_confirmed()
        assert desk.registry.aliases(desk.model)[Alias.SHADOW] == 2
        assert desk.rehearse(challenger) == record
        ended = desk.end()
        assert ended is not None
        assert (ended.epoch, ended.change, ended.mirror, ended.champion_since) == (3, Change.MIRROR_ENDED, None, 1)
        assert desk.served() == [(1, 3), (1, 3)]
        assert Alias.SHADOW not in desk.registry.aliases(desk.model)
        assert desk.end() is None
        assert len(desk.deployments.history(desk.model)) == 3

    def test_a_mirror_is_no_champion(self, desk: Desk) -> None:
        first = desk.raise_champion(1).champion
        desk.rehearse(desk.train(2))
        desk.end()
        record = desk.raise_champion(3)
        assert record.previous == first
        told = [(reign.champion.version, reign.epoch) for reign in reigns(desk.deployments.history(desk.model))]
        assert told == [(1, 1), (3, 4)]

    def test_another_run_does_not_end_it_and_a_person_does(self, desk: Desk) -> None:
        desk.raise_champion(1)
        desk.rehearse(desk.train(2))
        assert desk.end(run="another") is None
        assert desk.served() == [(1, 2), (1, 2)]
        assert desk.end(run=None) is not None

    def test_a_run_that_was_killed_is_replaced_by_the_next(self, desk: Desk) -> None:
        desk.raise_champion(1)
        desk.rehearse(desk.train(2), run="killed")
        record = desk.rehearse(desk.train(3), run="next")
        assert record.mirror is not None
        assert record.mirror.version == 3
        assert desk.end(run="killed") is None
        assert desk.end(run="next") is not None

    def test_a_challenger_that_cannot_be_loaded_is_not_rehearsed(self, desk: Desk) -> None:
        first = desk.raise_champion(1)
        desk.west.refuses[2] = "it does not load"
        with pytest.raises(GatewayRefused, match="does not load"):
            desk.rehearse(desk.train(2))
        assert desk.deployments.current(desk.model) == first

    def test_a_locked_champion_may_be_rehearsed_against(self, desk: Desk) -> None:
        desk.raise_champion(1)
        desk.deployments.ledger.append(desk.model, EntryKind.LOCKED, "ann", "audit", facts={"version": 1})
        assert desk.rehearse(desk.train(2)).epoch == 2

    def test_what_makes_no_sense_is_refused(self, desk: Desk) -> None:
        challenger = desk.train(1)
        with pytest.raises(NothingServes):
            desk.rehearse(challenger)
        desk.promote(desk.bless(challenger))
        with pytest.raises(NothingToRehearse, match=r"Version 7 of .* has the files of version 1, which serves"):
            desk.rehearse(challenger.model_copy(update={"version": 7}))
        banned = desk.train(2)
        desk.deployments.deny(desk.model, banned.model_sha256, By(actor="ann", reason="harmful"))
        with pytest.raises(DigestDenied):
            desk.rehearse(banned)
        assert desk.end() is None

    def test_a_gateway_that_lags_is_fatal_to_the_start_until_a_retry(self, desk: Desk) -> None:
        desk.raise_champion(1)
        challenger = desk.train(2)
        prepare = desk.gateways.prepare

        def prepare_and_die(order: Any, within_s: float = 60) -> None:
            prepare(order, within_s)
            desk.west.status = 422

        desk.gateways.prepare = prepare_and_die  # type: ignore[method-assign]
        with pytest.raises(GatewayLagging):
            desk.rehearse(challenger)
        assert not desk.is_confirmed()
        desk.west.status = None
        assert desk.rehearse(challenger).epoch == 2
        assert desk.is_confirmed()

    def test_a_gateway_that_lags_is_not_fatal_to_the_end(self, desk: Desk) -> None:
        desk.raise_champion(1)
        desk.rehearse(desk.train(2))
        desk.west.status = 422
        ended = desk.end()
        assert ended is not None
        assert desk.served() == [(1, 3), (1, 2)]
        assert not desk.is_confirmed()
        desk.west.status = None
        assert desk.end() == ended
        assert desk.served() == [(1, 3), (1, 3)]
        assert desk.is_confirmed()
        assert desk.end() is None

    def test_a_champion_that_changes_meanwhile_ends_the_start(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.raise_champion(1)
        challenger, other = desk.train(2), desk.bless(desk.train(3))
        real = Registry.keep

        def somebody_promotes(registry: Registry, bundle: Bundle) -> Path:
            if bundle == challenger:
                desk.promote(other)
            return real(registry, bundle)

        monkeypatch.setattr(Registry, "keep", somebody_promotes)
        with pytest.raises(EpochConflict):
            desk.rehearse(challenger)
