"""A retraining that was cut off is concluded in the ledger, once, so that no reader takes it for one that runs."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.hooks.told_runs import ToldRuns
from tests.unit.scrape import samples_of
from understudy.contract.cause import Cause
from understudy.contract.local_run import LocalRun
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind, Outcome, Trigger
from understudy.exporter import measures as m
from understudy.exporter.census import Census
from understudy.exporter.chain import ChainWatch
from understudy.exporter.declarations import Declarations
from understudy.exporter.observe import Known, observe
from understudy.hooks.connect import Hooks
from understudy.hooks.cut_off_runs import conclude_cut_off
from understudy.hooks.local_runs import alone, this_process
from understudy.hooks.looks import retrainings, trouble_with
from understudy.overview.events import retraining_event
from understudy.settings import Settings

DAG = "retrain__price"


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return Hooks(Settings(UNDERSTUDY_HOME=tmp_path, models_dir=tmp_path / "models"))


def begin(hooks: Hooks, run: str, local: LocalRun | None = None) -> None:
    facts = {
        "dag_id": DAG,
        "run_id": f"manual__{run}",
        "cause": Cause(reasons=(Trigger.MANUAL,), sentence="weekly").model_dump(mode="json"),
        "as_of": "2026-03-01T12:00:00+00:00",
        "may_promote": True,
        **({"local": local.model_dump()} if local else {}),
    }
    hooks.ledger.append("price", EntryKind.TRIGGERED, "ann", "weekly", run, facts)


def end(hooks: Hooks, run: str, outcome: Outcome, reason: str = "well") -> None:
    hooks.ledger.append("price", EntryKind.CONCLUDED, "ann", reason, run, {"outcome": outcome.value})


def ends(hooks: Hooks) -> list[LedgerEntry]:
    return hooks.ledger.entries("price", [EntryKind.CONCLUDED])


def conclude(hooks: Hooks, **states: str) -> None:
    conclude_cut_off(hooks, ToldRuns({f"manual__{run}": state for run, state in states.items()}))


def is_running(hooks: Hooks, home: Path) -> bool:
    """Ask the exporter, the cockpit and what the commands read; they must agree."""
    known = Known(Census(hooks.ledger), ChainWatch(hooks.ledger, 3600), Declarations(home / "models", 60))
    shown = samples_of(observe(known).text()[0].decode())
    newest = {entry.kind: entry for entry in hooks.ledger.newest(EntryKind.TRIGGERED, EntryKind.CONCLUDED)}
    event = retraining_event(newest[EntryKind.TRIGGERED], newest.get(EntryKind.CONCLUDED), None)
    answers = {
        any(name == m.RETRAINING_RUNNING.name for name, _ in shown),
        event is not None and event.word == "running",
        retrainings(hooks.ledger, "price").begun[0].outcome is None,
    }
    assert len(answers) == 1
    return answers.pop()


def test_a_run_that_airflow_has_failed_is_concluded_once_and_no_reader_takes_it_for_one_that_runs(
    tmp_path: Path, hooks: Hooks
) -> None:
    begin(hooks, "r1")
    conclude(hooks, r1="running")
    assert is_running(hooks, tmp_path)
    for _ in range(2):
        conclude(hooks, r1="failed")
    (told,) = ends(hooks)
    assert (told.actor, told.run, told.facts["outcome"]) == ("alerts", "r1", "broken")
    assert told.reason == "the run manual__r1 of retrain__price failed before it could say why"
    assert not is_running(hooks, tmp_path)


def test_a_run_that_airflow_does_not_know_is_left_alone(tmp_path: Path, hooks: Hooks) -> None:
    begin(hooks, "r1")
    conclude(hooks)
    assert is_running(hooks, tmp_path)


def test_an_end_that_a_run_wrote_itself_is_believed_and_one_that_was_cleared_may_write_it_later(hooks: Hooks) -> None:
    begin(hooks, "r1")
    conclude(hooks, r1="failed")
    end(hooks, "r1", Outcome.PROMOTED)
    conclude(hooks, r1="failed")
    assert [entry.facts["outcome"] for entry in ends(hooks)] == ["broken", "promoted"]


def test_a_dead_run_is_not_concluded_behind_the_beginning_of_the_next_one(tmp_path: Path, hooks: Hooks) -> None:
    begin(hooks, "r1")
    begin(hooks, "r2")
    conclude(hooks, r1="failed", r2="running")
    assert ends(hooks) == []
    assert is_running(hooks, tmp_path)


def test_a_dead_run_is_concluded_though_another_had_nothing_to_do_since(hooks: Hooks) -> None:
    begin(hooks, "r1")
    end(hooks, "r2", Outcome.HELD_BACK)
    conclude(hooks, r1="failed")
    assert [entry.run for entry in ends(hooks)] == ["r2", "r1"]


def test_a_killed_run_without_a_scheduler_is_concluded_where_it_ran(tmp_path: Path, hooks: Hooks) -> None:
    with alone(tmp_path, DAG):
        here = this_process(tmp_path, DAG)
        assert here is not None
        begin(hooks, "r1", here)
        conclude(hooks)
        assert is_running(hooks, tmp_path)
        assert trouble_with(retrainings(hooks.ledger, "price"), "price", hooks.settings) == ()
    conclude(hooks)
    (told,) = ends(hooks)
    assert told.reason.endswith(f"without a scheduler on {here.host}, was killed before it could say why")
    assert not is_running(hooks, tmp_path)


def test_a_command_on_the_same_machine_says_so_where_nothing_sweeps(tmp_path: Path, hooks: Hooks) -> None:
    declaration = tmp_path / "models" / "price" / "model.yaml"
    declaration.parent.mkdir(parents=True)
    declaration.write_text(
        "model: price\nowner: me\ntask: regression\ndata: {source: x.csv, time: at, target: y}\n"
        "gates: [{metric: rmse, ceiling: 5}]\n",
        encoding="utf-8",
    )
    with alone(tmp_path, DAG):
        here = this_process(tmp_path, DAG)
        assert here is not None
        begin(hooks, "r1", here)
    (sentence,) = trouble_with(retrainings(hooks.ledger, "price"), "price", hooks.settings)
    assert sentence.endswith("was killed before it could say how it ended")


def test_elsewhere_nobody_claims_to_know_and_it_is_said_who_does(tmp_path: Path, hooks: Hooks) -> None:
    begin(hooks, "r1", LocalRun(host="laptop", place="another"))
    conclude(hooks)
    assert is_running(hooks, tmp_path)
    past = retrainings(hooks.ledger, "price")
    day = timedelta(days=1)
    (sentence,) = past.trouble(past.begun[0].at + 2 * day, day, day)
    assert sentence.endswith("it runs without a scheduler on laptop, and only there can be told whether it still does")
    (began,) = hooks.ledger.entries("price")
    event = retraining_event(began, None, None)
    assert event is not None
    assert event.sentence.endswith("without a scheduler on laptop, and only there can be told whether it still does")
