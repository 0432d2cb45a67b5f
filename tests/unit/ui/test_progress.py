from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fleet_ledger import bundle, record
from tests.unit.overview.demand import AT, MODEL
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.load import parse_spec
from understudy.contract.serving import RehearsalQuery, RehearsalReport, Tally
from understudy.contract.words import Change, Verdict
from understudy.hooks.deployments import Served
from understudy.hooks.places.gateway_errors import GatewayUnreachable
from understudy.ui.progress import Progress, progress

NOW = AT + timedelta(hours=2)
SPEC = """
model: demand
owner: market-ml
task: binary_classification
data: {source: demand.csv, time: at, target: up}
gates: [{metric: roc_auc, floor: 0.6}]
serving: {}
shadow: {deadline: 7d, min_requests: 2000}
"""


@dataclass
class Places:
    """Answer as all gateways together would."""

    answer: RehearsalReport | Exception
    asked: RehearsalQuery | None = None

    def rehearsal(self, model: str, query: RehearsalQuery, within_s: float) -> RehearsalReport:
        self.asked = query
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Connected:
    places: Places | None

    def served_now(self, model: str) -> tuple[Places | None, None]:
        return self.places, None


def rehearsing() -> list[Served]:
    told = record(
        MODEL, 2, 3, champion_since=2, change=Change.MIRROR_STARTED, mirror=bundle(MODEL, 3), mirror_share=0.2
    )
    return [Served(deployment=told, at=AT, actor="ann", reason="", run=None, is_confirmed=True)]


def report(pairs: int, until: datetime = NOW) -> RehearsalReport:
    tally = Tally(requests=pairs)
    return RehearsalReport(
        model=MODEL, champion_version=2, mirror_version=3, gateways=("g",), since=AT, until=until, champion=tally,
        mirror=tally, pairs=pairs, rows=pairs, agreeing_rows=pairs,
    )  # fmt: skip


def asked(places: Places | None, spec: ModelSpec | None) -> Progress:
    connected: Any = Connected(places)
    found = progress(connected, rehearsing(), spec, NOW)
    assert found is not None
    return found


@pytest.fixture
def spec(tmp_path: Any) -> ModelSpec:
    return parse_spec(SPEC, tmp_path / "model.yaml")


def test_it_says_how_many_more_requests_are_needed(spec: ModelSpec) -> None:
    places = Places(report(100))
    found = asked(places, spec)
    assert found.judgement is not None
    assert found.judgement.verdict is Verdict.INCONCLUSIVE
    assert "about 1,900 more" in found.judgement.results[0].sentence
    assert found.until is not None
    assert (found.until - found.since).days == 7
    assert places.asked is not None
    assert (places.asked.champion_version, places.asked.mirror_version) == (2, 3)


def test_it_says_how_long_that_takes_at_the_pace_so_far(spec: ModelSpec) -> None:
    found = asked(Places(report(100)), spec)
    assert found.remaining is not None
    assert found.remaining.sentence == "needs about 1,900 more requests, ~38 h; 100 came in 2 h, 50 an hour"
    few = asked(Places(report(2)), spec)
    assert few.remaining is not None
    assert few.remaining.short == "needs about 1,998 more requests, ~83 d, but its time is up in 7 d"


def test_a_doubt_that_more_of_the_same_does_not_answer_has_no_estimate(spec: ModelSpec) -> None:
    found = asked(Places(report(5_000)), spec)
    assert found.judgement is not None
    assert found.judgement.verdict is Verdict.INCONCLUSIVE
    assert found.remaining is None


@pytest.mark.parametrize("places", [None, Places(GatewayUnreachable("http://g", "it is down"))])
def test_silence_is_said_and_is_no_verdict(places: Places | None, spec: ModelSpec) -> None:
    found = asked(places, spec)
    assert found.judgement is None
    assert found.problem


@pytest.mark.parametrize(
    ("places", "told"),
    [
        (Places(report(100)), "needs about 1,900 more requests, ~38 h"),
        (Places(report(5_000)), "nobody can say yet"),
        (None, "how it does is not known now"),
    ],
)
def test_a_line_of_the_fleet_says_it_in_short(places: Places | None, told: str, spec: ModelSpec) -> None:
    assert asked(places, spec).short == told


def test_a_declaration_that_is_gone_is_said() -> None:
    found = asked(Places(report(5_000)), None)
    assert (found.judgement, found.until) == (None, None)
    assert "model.yaml" in (found.problem or "")


def test_nothing_beside_the_champion_is_no_progress(spec: ModelSpec) -> None:
    connected: Any = Connected(None)
    alone = [rehearsing()[0].model_copy(update={"deployment": record(MODEL, 2, 2)})]
    assert progress(connected, alone, spec, NOW) is None
    assert progress(connected, [], spec, NOW) is None
