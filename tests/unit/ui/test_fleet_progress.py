"""How trials do in the fleet: asked in the background, shown when known, never waited for long."""

from concurrent.futures import wait
from threading import Event

import pytest

from tests.unit.overview.demand import AT, MODEL
from understudy.contract.errors import UnderstudyError
from understudy.overview.glance import Glance, Health
from understudy.overview.troubles import Champion
from understudy.ui.fleet_progress import FRESH_S, Trial, TrialsAsked, with_progress

TRIAL = Trial(MODEL, 3)
LONG_S = 60.0
"""Nothing takes so long here: what is waited for comes."""


class Gateway:
    """Count what it is asked, and answer when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = Event()
        self.may_answer.set()
        self.now_s = 0.0
        self.is_broken = False

    def ask(self, model: str) -> str:
        self.asked.append(model)
        self.may_answer.wait(LONG_S)
        if self.is_broken:
            raise UnderstudyError("the ledger cannot be read")
        return f"answer {len(self.asked)}"

    def asking(self, patience_s: float = LONG_S) -> TrialsAsked:
        return TrialsAsked(self.ask, patience_s, lambda: self.now_s)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def settled(asked: TrialsAsked) -> None:
    wait(tuple(asked._asking.values()), LONG_S)


def test_what_answers_at_once_is_on_the_first_page(gateway: Gateway) -> None:
    assert gateway.asking().told([TRIAL]) == {MODEL: "answer 1"}


def test_a_slow_gateway_holds_up_no_page_and_is_asked_once(gateway: Gateway) -> None:
    gateway.may_answer.clear()
    asked = gateway.asking(patience_s=0.0)
    assert [asked.told([TRIAL]) for _ in range(3)] == [{}] * 3
    gateway.may_answer.set()
    settled(asked)
    assert asked.told([TRIAL]) == {MODEL: "answer 1"}
    assert gateway.asked == [MODEL]


def test_an_old_answer_is_shown_while_a_new_one_is_asked_for(gateway: Gateway) -> None:
    asked = gateway.asking()
    asked.told([TRIAL])
    gateway.now_s = FRESH_S - 1
    assert asked.told([TRIAL]) == {MODEL: "answer 1"}
    assert gateway.asked == [MODEL]
    gateway.now_s = FRESH_S
    gateway.may_answer.clear()
    assert asked.told([TRIAL]) == {MODEL: "answer 1"}
    gateway.may_answer.set()
    settled(asked)
    assert asked.told([TRIAL]) == {MODEL: "answer 2"}


def test_what_was_said_of_another_trial_of_the_model_is_not_said_of_this_one(gateway: Gateway) -> None:
    asked = gateway.asking()
    asked.told([TRIAL])
    assert asked.told([Trial(MODEL, 4)]) == {MODEL: "answer 2"}


def test_who_could_not_be_asked_is_asked_by_the_next_page(gateway: Gateway) -> None:
    asked, gateway.is_broken = gateway.asking(), True
    assert asked.told([TRIAL]) == {}
    settled(asked)
    gateway.is_broken = False
    assert asked.told([TRIAL]) == {MODEL: "answer 2"}


def glance(model: str, beside: str) -> Glance:
    champion = Champion(version=2, epoch=3, since=AT, by="ann", why="better", is_confirmed=True, previous=None)
    return Glance(model=model, owner="", is_declared=True, health=Health.WORKING, champion=champion, beside=beside)


def test_only_models_that_try_something_are_asked_about(gateway: Gateway) -> None:
    shown = with_progress([glance("quiet", ""), glance(MODEL, "version 3 rehearses")], gateway.asking())
    assert [one.progress for one in shown] == ["", "answer 1"]
    assert gateway.asked == [MODEL]
