"""What the drill's operator does when its drill goes wrong, is ended, or cannot be cleared up after."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.operators.live_traffic import context
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DrillReport, judge_drill, sentence_of
from understudy.operators.drill import drill as module
from understudy.operators.drill.drill import DrillOperator, metrics_of
from understudy.operators.drill.errors import BadModelNotReversed, BadModelUndetected, DrillStopped, SandboxLeftBehind
from understudy.operators.drill.sandbox import Sandbox
from understudy.operators.handover import Drilled
from understudy.settings import Settings


class Gateways:
    """Keep who is to be forgotten."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[str, bool]] = []

    def forget(self, model: str, *, purge: bool = False, within_s: float = 30.0) -> tuple[()]:
        self.forgotten.append((model, purge))
        return ()


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> Gateways:
    fake = Gateways()
    monkeypatch.setattr(module, "connect", lambda: SimpleNamespace(gateways=fake))
    monkeypatch.setattr(Sandbox, "clear", lambda self: self.gateways.forget(DRILL_MODEL, purge=True))
    return fake


def operator(monkeypatch: pytest.MonkeyPatch, **measured: Any) -> DrillOperator:
    """Drill with this outcome; an exception as ``raised`` breaks it."""
    raised = measured.pop("raised", None)
    chosen = Settings()
    report = DrillReport.model_validate(
        {"good": 1, "bad": 2, "detection_s": 5.0, "reversal_s": 0.1, "requests": 9, "lost": 0, **measured}
    )
    judgement = judge_drill(report, chosen.drill_detect_within, chosen.drill_reverse_within)

    def play(*_: Any) -> Drilled:
        if raised is not None:
            raise raised
        return Drilled(report=report, judgement=judgement, sentence=sentence_of(judgement))

    monkeypatch.setattr(DrillOperator, "_drill", play)
    return DrillOperator(task_id="drill", models={})


def test_a_drill_begins_and_ends_with_an_empty_sandbox(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    returned = operator(monkeypatch).execute(context())
    assert returned["report"]["detection_s"] == 5.0
    assert gateways.forgotten == [(DRILL_MODEL, True)] * 2


@pytest.mark.parametrize(
    ("measured", "error"),
    [
        ({"detection_s": None, "reversal_s": None}, BadModelUndetected),
        ({"detection_s": 999.0}, BadModelUndetected),
        ({"reversal_s": None, "problem": "gateway west is away"}, BadModelNotReversed),
        ({"reversal_s": 9.0}, BadModelNotReversed),
    ],
)
def test_too_late_or_not_at_all_is_an_error_of_its_own_and_the_sandbox_is_cleared(
    measured: dict[str, Any], error: type[Exception], gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}
    with pytest.raises(error, match="The drill failed"):
        operator(monkeypatch, **measured).execute(context(told))
    assert "The drill failed" in told["problem"]
    assert len(gateways.forgotten) == 2


class TimedOut(BaseException):
    """As Airflow's timeout, which is no Exception."""


def test_even_a_timeout_clears_the_sandbox(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TimedOut):
        operator(monkeypatch, raised=TimedOut()).execute(context())
    assert len(gateways.forgotten) == 2


def test_what_broke_the_drill_is_told_before_what_is_left_of_it(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(self: Sandbox) -> None:
        raise SandboxLeftBehind("west is away")

    monkeypatch.setattr(Sandbox, "clear", stuck)
    with pytest.raises(KeyError):
        operator(monkeypatch, raised=KeyError("a bug")).execute(context())
    with pytest.raises(SandboxLeftBehind, match="west is away"):
        operator(monkeypatch).execute(context())


def test_a_kill_forgets_the_sandbox_at_once_and_starts_nothing_more(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = operator(monkeypatch)
    killed._go_on()
    killed.on_kill()
    assert gateways.forgotten == [(DRILL_MODEL, True)]
    with pytest.raises(DrillStopped):
        killed._go_on()


def test_only_what_was_reached_becomes_a_metric() -> None:
    report = DrillReport(good=1, bad=2, detection_s=5.0, reversal_s=None, requests=9, lost=1)
    assert metrics_of(report) == {"drill_detection_s": 5.0, "drill_requests": 9.0, "drill_requests_lost": 1.0}
