"""The retraining of a served model, as Airflow runs it: rehearsed on live traffic, promoted, watched, taken back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.conftest import Run, Site, hourly
from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from tests.unit.contract.live.canary_reports import report_of
from tests.unit.operators.live_traffic import report
from understudy.contract.release import Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind
from understudy.settings import settings

MODEL = "live"
SECTIONS: dict[str, Any] = {
    "serving": {},
    "shadow": {"deadline": "2m", "min_requests": 100},
    "canary": {"steps": [0.1, 1.0], "hold": "0s", "step_deadline": "2m", "min_requests": 100},
    "guard": {"probation": "2s", "min_requests": 100, "share": 0.5},
    # Whether the challenger is better is another test's story; each of its trees is another artefact.
    "gates": [{"metric": "roc_auc", "floor": 0.55, "margin": 0.5}],
    "evaluate": {"must_beat": []},
}


@pytest.fixture(scope="module")
def gateway(site: Site) -> Iterator[FakeGateway]:
    with running("east") as (fake,), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", fake.url)
        fake.canary = lambda query: report_of(query).model_copy(update={"model": MODEL})
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        yield fake
    settings.cache_clear()


@pytest.fixture(scope="module")
def acts(site: Site, gateway: FakeGateway) -> dict[str, tuple[Run, Deployment, dict[EntryKind, LedgerEntry]]]:
    """Play the whole story of a served model once."""
    played: dict[str, tuple[Run, Deployment, dict[EntryKind, LedgerEntry]]] = {}
    site.deliver(MODEL, hourly())

    def play(name: str, depth: int, before: dict[str, Callable[[], object]]) -> None:
        site.declare(MODEL, **SECTIONS, train={"estimator": "decision_tree", "params": {"max_depth": depth}})
        run = site.retrain(MODEL, before=before)
        hooks = site.hooks
        current = hooks.deployments.current(MODEL)
        assert current is not None
        played[name] = run, current, {entry.kind: entry for entry in hooks.ledger.entries(MODEL, run=run.key)}

    def traffic(champion: int, mirror: int, **what: int) -> Callable[[], object]:
        told = report(champion, mirror, **what).model_copy(update={"model": MODEL})
        return lambda: setattr(gateway, "report", told)

    play("first", 5, {})
    play("breach", 6, {"shadow": traffic(1, 2), "guard": traffic(2, 1, errors=250)})
    play("declined", 7, {"shadow": traffic(1, 3, lost=250)})
    play("kept", 8, {"shadow": traffic(1, 4), "guard": traffic(4, 1)})
    return played


def test_a_first_champion_has_nobody_to_be_rehearsed_or_watched_beside(acts: Any, gateway: FakeGateway) -> None:
    run, current, _ = acts["first"]
    assert (run.state, run.outcome) == ("success", "promoted")
    assert run.returned["shadow"]["judgement"]["rubber_stamped"] is True
    assert "it is the first champion" in run.sentence
    assert (current.champion.version, current.mirror) == (1, None)
    assert gateway.probes


def test_a_challenger_that_passed_its_rehearsal_and_broke_its_probation_is_taken_back(
    acts: Any, gateway: FakeGateway, site: Site
) -> None:
    run, current, entries = acts["breach"]
    assert (run.state, run.outcome) == ("failed", "rolled_back")
    assert [run.tasks[task] for task in ("shadow", "canary", "promote", "guard", "outcome")] == [
        "success", "success", "success", "failed", "failed",
    ]  # fmt: skip
    assert "version 2 was taken back and version 1 serves again" in run.sentence
    assert "lost 250 of 500 requests" in run.sentence
    assert (current.change, current.champion.version) == (Change.ROLLBACK, 1)
    assert entries[EntryKind.REHEARSED].facts["verdict"] == "passed"
    assert entries[EntryKind.GUARDED].facts["breach"] is True
    assert entries[EntryKind.DEPLOYED].actor == "guard"
    changes = [served.deployment.change for served in site.hooks.deployments.history(MODEL)][:7]
    assert changes == [
        Change.PROMOTION, Change.MIRROR_STARTED, Change.MIRROR_ENDED, Change.CANARY_STARTED, Change.CANARY_STEPPED,
        Change.PROMOTION, Change.ROLLBACK,
    ]  # fmt: skip


def test_a_challenger_that_fails_on_live_traffic_is_declined(acts: Any) -> None:
    run, current, entries = acts["declined"]
    assert (run.state, run.outcome) == ("success", "declined")
    assert {run.tasks[task] for task in ("shadow", "canary", "promote", "guard")} == {"skipped"}
    assert "version 3 was declined (failed)" in run.sentence
    assert "failed 250" in run.sentence
    assert (current.champion.version, current.mirror) == (1, None)
    assert EntryKind.BLESSED in entries


def test_a_champion_that_keeps_up_stays(acts: Any, gateway: FakeGateway) -> None:
    run, current, entries = acts["kept"]
    assert (run.state, run.outcome) == ("success", "promoted")
    assert "version 4 answered 100% of the callers beside version 1: all 2 questions passed" in run.sentence
    assert "in its probation of 2s beside version 1: all 4 questions passed" in run.sentence
    assert run.returned["canary"]["share"] == 1.0
    assert (current.change, current.champion.version, current.mirror) == (Change.MIRROR_ENDED, 4, None)
    assert (gateway.version(MODEL), gateway.orders[MODEL].record.mirror) == (4, None)
    assert entries[EntryKind.GUARDED].facts["verdict"] == "passed"


def test_labels_that_arrive_as_files_are_sent_to_the_gateways_once(acts: Any, gateway: FakeGateway, site: Site) -> None:
    drop = site.home / "data" / "outcomes"
    drop.mkdir()
    site.declare(MODEL, **SECTIONS, monitor={"labels": {"source": str(drop / "*.csv"), "id": "order", "label": "up"}})

    def look() -> Run:
        return site.run(f"monitor__{MODEL}", "monitoring", {}, {})

    assert look().tasks["labels"] == "skipped", "no file is there yet"
    (drop / "monday.csv").write_text("order,up\na,1\nb,0\n")
    assert look().returned["labels"]["sent"] == 2
    assert look().returned["labels"]["sent"] == 0, "the same as last time"
    (drop / "tuesday.csv").write_text("order,up\nb,1\n")
    assert "1 rows with different labels" in look().returned["labels"]["sentence"]
    told = [(label["client_id"], label["label"]) for label in gateway.labels]
    assert told == [("a", 1), ("b", 0), ("a", 1), ("b", 1)]
    entries = site.hooks.ledger.entries(MODEL, [EntryKind.LABELLED])
    assert [(entry.facts["sent"], entry.facts["contradicted"]) for entry in entries] == [(2, 0), (2, 1)]


def test_the_whole_story_can_be_read_from_an_intact_ledger(acts: Any, site: Site) -> None:
    assert site.hooks.ledger.verify().ok
    outcomes = [entry.facts["outcome"] for entry in site.hooks.ledger.entries(MODEL, [EntryKind.CONCLUDED])]
    assert outcomes == ["promoted", "rolled_back", "declined", "promoted"]
