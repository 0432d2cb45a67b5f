"""What a drill leaves that was killed together with its clearing is cleared by the next drill, or by housekeeping."""

from datetime import datetime, timezone
from typing import NamedTuple

import pytest

from tests.unit.operators.known_runs import KnownRuns
from tests.unit.operators.live_traffic import Registry, bundle, context
from understudy.contract.by import By
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_DAG
from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import Hooks, connect
from understudy.operators.drill.drill import sandbox_of
from understudy.operators.other_runs import OtherRuns
from understudy.operators.tidy.killed_drills import clear_after_killed_drills
from understudy.operators.tidy.mirrors import end_orphaned_mirrors


class Late(NamedTuple):
    gateway: str
    problem: str


class Gateways:
    """Keep who is to be forgotten, and say who cannot be told."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self.late: tuple[Late, ...] = ()

    def forget(self, model: str, *, purge: bool = False) -> tuple[Late, ...]:
        assert purge
        self.forgotten.append(model)
        return self.late


class Copies(Registry):
    """Stand in for MLflow, which keeps no copies here."""

    def forget_copies(self, model: str) -> None:
        assert model == DRILL_MODEL


@pytest.fixture
def gateways(airflow: KnownRuns, monkeypatch: pytest.MonkeyPatch) -> Gateways:
    """Let a drill bless two versions and be killed, with its clearing, while the bad one serves beside the good one."""
    fake = Gateways()
    monkeypatch.setattr(Hooks, "gateways", fake)
    monkeypatch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: Copies())
    hooks = connect()
    good, bad = (bundle(version).model_copy(update={"model": DRILL_MODEL}) for version in (1, 2))
    for version in (good, bad):
        blessing = Blessing(
            challenger=version, champion_version=None, champion_epoch=0, judgement_sha256="j", rubber_stamped=True
        )
        facts = blessing.model_dump(mode="json")
        hooks.ledger.append(DRILL_MODEL, EntryKind.BLESSED, "ann", "for the drill", "killed", facts)
    record = Deployment(
        model=DRILL_MODEL, epoch=1, change=Change.PROMOTION, champion=bad, previous=good, mirror=good, mirror_share=1.0
    )
    hooks.deployments.deploy(record, 0, By(actor="ann", reason="for the drill", run="killed"))
    return fake


def left() -> tuple[int, bool]:
    """Count the versions that could serve again, and say whether a mirror is on record."""
    record = connect().deployments.current(DRILL_MODEL)
    assert record is not None
    return 2 - len(connect().deployments.denied(DRILL_MODEL)), record.mirror is not None


def tidy(airflow: KnownRuns) -> list[str]:
    return clear_after_killed_drills(connect(), OtherRuns(airflow), "housekeeping")


def test_the_next_drill_clears_what_one_left_that_was_killed_with_its_clearing(gateways: Gateways) -> None:
    sandbox = sandbox_of(context())
    assert sandbox is not None
    sandbox.clear()
    assert (left(), gateways.forgotten) == ((0, False), [DRILL_MODEL])


def test_housekeeping_clears_it_once_where_nobody_drills(airflow: KnownRuns, gateways: Gateways) -> None:
    airflow.add(DRILL_DAG, "killed", "failed", {"drill": "failed", "clear": "failed"})
    assert tidy(airflow) == tidy(airflow) == []
    assert (left(), gateways.forgotten) == ((0, False), [DRILL_MODEL])
    assert {entry.actor for entry in connect().ledger.entries(DRILL_MODEL, [EntryKind.DENIED])} == {"housekeeping"}


def test_housekeeping_leaves_a_drill_that_runs_alone(airflow: KnownRuns, gateways: Gateways) -> None:
    airflow.add(DRILL_DAG, "now", "running", {"drill": "running"})
    assert tidy(airflow) == []
    assert (left(), gateways.forgotten) == ((2, True), [])


def test_housekeeping_says_which_gateway_still_has_it(airflow: KnownRuns, gateways: Gateways) -> None:
    gateways.late = (Late("west", "it does not answer."),)
    (problem,) = tidy(airflow)
    assert "west: it does not answer" in problem


def test_its_mirror_is_never_ended_at_the_gateways_which_would_bring_it_back(gateways: Gateways) -> None:
    a_year_later = datetime.now(timezone.utc).replace(year=2100)
    assert end_orphaned_mirrors(connect(), a_year_later, lambda *_: False) == ([], [])
    assert left() == (2, True)
