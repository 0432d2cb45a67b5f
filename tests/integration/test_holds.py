"""A hold against a promotion, both real and at once: whoever comes first is in the ledger first, and that decides."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.integration.promotion_desk import Desk, desk, home, unchecked_desk
from understudy.contract.by import By
from understudy.contract.words import Action, EntryKind
from understudy.hooks.acts import act
from understudy.hooks.connect import Hooks
from understudy.hooks.errors import ModelHeld
from understudy.hooks.rollback import rollback
from understudy.settings import Settings

__all__ = ["desk", "home", "unchecked_desk"]
ROUNDS = 4


def hold(desk: Desk, action: Action = Action.HOLD) -> None:
    act(_hooks(desk), action, desk.model, by=By(actor="carl", reason="stocktaking"))


def _hooks(desk: Desk) -> Hooks:
    return Hooks(Settings(models_dir=Path("/nowhere"), ledger_url=str(desk.deployments.ledger.url)))


def test_a_hold_that_comes_in_the_middle_of_a_promotion_stops_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = desk.raise_champion(1)
    blessing, keep = desk.bless(desk.train(2)), desk.registry.keep

    def hold_meanwhile(bundle: Any) -> Any:
        hold(desk)
        return keep(bundle)

    monkeypatch.setattr(desk.registry, "keep", hold_meanwhile)
    with pytest.raises(ModelHeld, match=r"held by carl since .* UTC .stocktaking., so no challenger is promoted"):
        desk.promote(blessing)
    assert desk.deployments.current(desk.model) == first


def test_under_a_hold_a_champion_is_taken_back_and_none_is_promoted(desk: Desk) -> None:
    first, second = desk.raise_champion(1), desk.raise_champion(2)
    third = desk.train(3)
    hold(desk)
    with pytest.raises(ModelHeld):
        desk.promote(desk.bless(third))
    assert desk.deployments.current(desk.model) == second
    back = rollback(desk.deployments, desk.registry, desk.model, by=By(actor="ann", reason="it hurts"))
    assert back.champion == first.champion
    hold(desk, Action.RELEASE)
    assert desk.promote(desk.bless(third)).champion == third


def test_of_a_hold_and_a_promotion_at_once_the_first_decides(desk: Desk) -> None:
    desk.raise_champion(1)
    for number in range(2, 2 + ROUNDS):
        blessing, start = desk.bless(desk.train(number)), Barrier(2)

        def promote(blessing: Any = blessing, start: Barrier = start) -> bool:
            start.wait()
            try:
                desk.promote(blessing)
            except ModelHeld:
                return False
            return True

        def keep(start: Barrier = start) -> None:
            start.wait()
            hold(desk)

        with ThreadPoolExecutor(2) as pool:
            promoted, held = pool.submit(promote), pool.submit(keep)
            held.result()
            is_promoted = promoted.result()
        ledger = desk.deployments.ledger
        last_hold = ledger.entries(desk.model, [EntryKind.HELD], limit=1, newest_first=True)[0]
        last_record = ledger.entries(desk.model, [EntryKind.DEPLOYED], limit=1, newest_first=True)[0]
        serves = desk.deployments.current(desk.model)
        assert serves is not None
        assert last_record.seq < last_hold.seq
        assert (serves.champion.version == blessing.challenger.version) == is_promoted
        hold(desk, Action.RELEASE)
