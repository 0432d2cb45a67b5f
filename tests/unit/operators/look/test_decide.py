"""What a look decides and does, with a real ledger: recorded first, and its evidence kept."""

from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tests.unit.operators.live_traffic import entries, serve
from tests.unit.operators.look.look import KEPT, MOVED, TRACED, Registry, Run, drift, quality
from understudy.contract.airflow_run import AirflowRun, airflow_run_in
from understudy.contract.stage import artefact_of
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.registry.errors import RegistryUnavailable
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import LooksInconclusive

pytestmark = pytest.mark.usefixtures("look_home")


def test_a_quiet_look_is_recorded_and_asks_for_nothing() -> None:
    serve(1)
    run = Run("look1")
    looked = run.decide(drift(), quality())
    assert (looked.is_due, looked.verdict, run.asked) == (False, Verdict.PASSED, [])
    (entry,) = entries(EntryKind.MONITORED)
    assert (entry.reason, entry.actor) == (looked.sentence, "scheduled")
    assert looked.sentence.startswith("looked, nothing to do")
    assert airflow_run_in(entry.facts) == AirflowRun(dag_id="monitor__price", run_id="look1")
    assert TRACED[0]["monitor.loss"] == 0.2
    assert set(KEPT) == {"looks/latest/look.json", "looks/latest/drift", "looks/latest/quality"}


def test_drift_asks_for_a_retraining_and_says_where_the_evidence_is() -> None:
    serve(1)
    run = Run("look1")
    looked = run.decide(drift(MOVED), quality())
    (entry,) = entries(EntryKind.MONITORED)
    (asked,) = run.asked
    assert looked.is_due
    assert asked["uri"] == "understudy://price/retrain"
    assert (asked["ledger_seq"], asked["ledger_hash"], asked["run_id"]) == (entry.seq, entry.hash, "look1")
    assert (asked["reasons"], asked["as_of"]) == (["drift"], None)
    assert "wind by 0.9" in asked["sentence"]
    assert f"looks/{entry.seq}/look.json" in KEPT


def test_the_ledger_knows_a_look_s_reports_by_their_digests() -> None:
    serve(1)
    Run("look1").decide(drift(MOVED), quality())
    (entry,) = entries(EntryKind.MONITORED)
    kept = {part: KEPT[f"looks/{entry.seq}/{part}"] for part in ("drift", "quality")}
    assert entry.facts["reports_sha256"] == {part: artefact_of(one, one.parent).sha256 for part, one in kept.items()}


def test_what_could_not_be_measured_is_inconclusive_and_named() -> None:
    serve(1)
    run = Run("look1", told={("window", REFUSAL_KEY): "prices.csv holds no rows in the window"})
    looked = run.decide()
    assert (looked.verdict, run.asked) == (Verdict.INCONCLUSIVE, [])
    assert "window: prices.csv holds no rows in the window" in looked.sentence


def test_looks_that_see_nothing_again_and_again_are_red() -> None:
    serve(1)
    told = {("drift", REFUSAL_KEY): "the reference is gone"}
    for number in range(2):
        Run(f"look{number}", told=told).decide()
    with pytest.raises(LooksInconclusive, match=r"3 looks in a row .* the reference is gone"):
        Run("look2", told=told).decide()
    assert len(entries(EntryKind.MONITORED)) == 3, "recorded before it is red"
    Run("look3").decide(drift(), quality())


@pytest.mark.parametrize("rows", [0, 299])
def test_a_tiny_window_decides_nothing(rows: int) -> None:
    serve(1)
    run = Run("look1")
    looked = run.decide(drift(MOVED, rows=rows))
    assert (looked.verdict, run.asked) == (Verdict.INCONCLUSIVE, [])


def test_no_champion_is_no_look() -> None:
    with pytest.raises(AirflowSkipException, match="no champion yet"):
        Run("look1").decide(drift(MOVED))
    assert entries(EntryKind.MONITORED) == []


def test_a_promotion_in_the_middle_of_a_look_leaves_the_new_champion_alone() -> None:
    serve(1)
    serve(2)
    run = Run("look1")
    looked = run.decide(drift(MOVED), quality(loss=0.9), version=1, since=1)
    assert (looked.verdict, run.asked) == (Verdict.INCONCLUSIVE, [])
    assert "version 2 became champion while version 1 was looked at" in looked.sentence


def test_a_look_into_the_past_hands_its_time_on() -> None:
    serve(1)
    past = datetime(2026, 1, 20, tzinfo=timezone.utc)
    run = Run("look1", as_of=past)
    run.decide(drift(MOVED))
    assert run.asked[0]["as_of"] == "2026-01-20T00:00:00Z"


def test_the_ledger_does_not_need_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(1)

    def down(*_: Any) -> None:
        raise RegistryUnavailable("mlflow", "refused the connection")

    monkeypatch.setattr(Registry, "trace", down)
    run = Run("look1")
    assert run.decide(drift(MOVED)).is_due
    assert len(run.asked) == 1
