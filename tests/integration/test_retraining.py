"""The whole retraining, as Airflow runs it: one story of one model, and what else must hold of any run."""

import hashlib
import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.integration.conftest import Run, Site, hourly
from understudy.contract.by import By
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.load import load_spec
from understudy.contract.release import Blessing, Deployment, LedgerEntry
from understudy.contract.reports import DataReport, EvaluationReport
from understudy.contract.stage import artefact_of
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.errors import DigestDenied
from understudy.hooks.promotion import promote

MODEL = "price"
STUMP = {"estimator": "decision_tree", "params": {"max_depth": 1}}
TREE: dict[str, Any] = {"estimator": "decision_tree", "params": {"max_depth": 8}}
PROVABLY_BETTER = [{"metric": "roc_auc", "floor": 0.6, "min_gain": 0.0}]
CHECKS = {"columns": {"wind": {"type": "number", "min": -10, "max": 10}}}
FEBRUARY_AND_MARCH = "2024-04-01T00:00:00Z"


@dataclass(frozen=True)
class Act:
    """What one run of the story left behind."""

    run: Run
    serving: Deployment
    aliases: dict[Alias, int]
    entries: dict[EntryKind, LedgerEntry]
    """What this run wrote to the ledger."""

    def facts(self, kind: EntryKind) -> dict[str, Any]:
        return dict(self.entries[kind].facts)


@pytest.fixture(scope="module")
def story(site: Site) -> dict[str, Act]:
    """Play everything that can befall a model, once; the tests look at what each act left."""
    acts: dict[str, Act] = {}

    def play(name: str, run: Run) -> None:
        hooks = site.hooks
        serving = hooks.deployments.current(MODEL)
        assert serving is not None
        written = {entry.kind: entry for entry in hooks.ledger.entries(MODEL, run=run.key)}
        acts[name] = Act(run, serving, hooks.registry.aliases(MODEL), written)

    def declare(train: dict[str, Any]) -> None:
        site.declare(MODEL, train=train, gates=PROVABLY_BETTER, checks=CHECKS)

    healthy = hourly()
    site.deliver(MODEL, healthy)
    declare(STUMP)
    play("first", site.retrain(MODEL, as_of=FEBRUARY_AND_MARCH))
    declare(TREE)
    play("better", site.retrain(MODEL, reason="the trees should grow"))
    # Other trees from here on: the same one would be the same artefact, which the rollback denies.
    declare({**TREE, "params": {**TREE["params"], "min_samples_leaf": 2}})
    play("dry", site.retrain(MODEL, dry_run=True, before={"train": lambda: declare(STUMP)}))
    play("worse", site.retrain(MODEL))
    site.deliver(MODEL, healthy.assign(wind=healthy["wind"].where(healthy.index % 3 > 0, 999)))
    play("poisoned", site.retrain(MODEL))
    play("plan", roll_back(site, dry_run=True))
    play("rollback", roll_back(site, dry_run=False))
    site.deliver(MODEL, healthy)
    declare({**TREE, "params": {**TREE["params"], "min_samples_leaf": 3}})
    usurper = acts["dry"].run.returned["evaluate"]["bundle"]
    play("overtaken", site.retrain(MODEL, before={"promote": lambda: usurp(site, usurper)}))
    return acts


def roll_back(site: Site, *, dry_run: bool) -> Run:
    form = {"model": MODEL, "target": "previous", "reason": "customers complain", "dry_run": dry_run}
    return site.run("rollback", "operations", {}, form)


def usurp(site: Site, bundle: dict[str, Any]) -> None:
    """Let another version become champion while a run is on its way."""
    deployments = site.hooks.deployments
    serving = deployments.current(MODEL)
    assert serving is not None
    other = {
        "model": MODEL,
        "epoch": serving.epoch + 1,
        "change": Change.PROMOTION,
        "champion": bundle,
        "previous": serving.champion,
    }
    deployments.deploy(Deployment.model_validate(other), serving.epoch, By(actor="somebody else", reason="in a hurry"))


def test_a_first_model_is_rubber_stamped_and_promoted(story: dict[str, Act]) -> None:
    act = story["first"]
    assert (act.run.state, act.run.outcome) == ("success", "promoted")
    assert act.facts(EntryKind.BLESSED)["rubber_stamped"] is True
    assert (act.serving.epoch, act.serving.champion.version, act.serving.previous) == (1, 1, None)
    assert act.aliases == {Alias.CHAMPION: 1}


def test_a_run_sees_nothing_newer_than_its_as_of_time(story: dict[str, Act]) -> None:
    asked = story["first"].facts(EntryKind.TRIGGERED)
    assert asked["window_end"] == asked["as_of"] == "2024-04-01T00:00:00+00:00"
    snapshot = story["first"].run.returned["snapshot"]
    assert (snapshot["rows"], snapshot["end"]) == (91 * 24, "2024-03-31T23:00:00Z")


def test_a_better_challenger_is_promoted_by_a_provable_gain(story: dict[str, Act]) -> None:
    act = story["better"]
    assert (act.run.state, act.run.outcome) == ("success", "promoted")
    gain = answer(act, "roc_auc.gain")
    assert gain["verdict"] == "passed"
    assert 0 < gain["low"] < gain["measured"] < gain["high"]
    assert act.serving.champion.version == 2
    assert act.serving.previous == story["first"].serving.champion
    assert act.aliases == {Alias.CHAMPION: 2, Alias.PREVIOUS_CHAMPION: 1}
    assert act.entries[EntryKind.DEPLOYED].reason == "the trees should grow"


def test_a_dry_run_judges_and_changes_nothing(story: dict[str, Act]) -> None:
    act = story["dry"]
    assert (act.run.state, act.run.outcome, act.run.tasks["promote"]) == ("success", "dry_run", "skipped")
    assert act.serving == story["better"].serving
    assert EntryKind.JUDGED in act.entries
    assert not {EntryKind.BLESSED, EntryKind.DEPLOYED} & set(act.entries)


def test_a_declaration_that_is_edited_during_a_run_counts_from_the_next_run_on(story: dict[str, Act]) -> None:
    during, after = story["dry"], story["worse"]
    assert during.facts(EntryKind.TRAINED)["training"]["params"]["max_depth"] == 8
    assert during.facts(EntryKind.TRAINED)["bundle"]["spec_sha256"] == during.facts(EntryKind.TRIGGERED)["spec_sha256"]
    assert after.facts(EntryKind.TRAINED)["training"]["params"]["max_depth"] == 1
    assert after.facts(EntryKind.TRIGGERED)["spec_sha256"] != during.facts(EntryKind.TRIGGERED)["spec_sha256"]


def test_a_worse_challenger_is_declined_with_its_numbers(story: dict[str, Act]) -> None:
    act = story["worse"]
    assert (act.run.state, act.run.outcome, act.run.tasks["promote"]) == ("success", "declined", "skipped")
    assert act.facts(EntryKind.JUDGED)["verdict"] == "failed"
    gain = answer(act, "roc_auc.gain")
    assert gain["verdict"] == "failed"
    assert gain["high"] < 0
    assert gain["sentence"] in act.run.sentence
    assert EntryKind.BLESSED not in act.entries
    assert act.serving == story["better"].serving
    assert {**act.aliases, Alias.CHALLENGER: None} == {**story["better"].aliases, Alias.CHALLENGER: None}


def test_a_poisoned_window_is_quarantined_and_nothing_is_trained(story: dict[str, Act]) -> None:
    act = story["poisoned"]
    assert (act.run.state, act.run.outcome) == ("failed", "data_refused")
    assert {act.run.tasks[task] for task in ("check", "train", "evaluate", "promote")} == {"skipped"}
    assert act.run.tasks["outcome"] == "failed"
    assert "wind" in act.run.sentence
    assert set(act.entries) == {EntryKind.TRIGGERED, EntryKind.DATA_JUDGED, EntryKind.QUARANTINED, EntryKind.CONCLUDED}
    assert act.serving == story["better"].serving

    evidence = Path(act.facts(EntryKind.QUARANTINED)["evidence"])
    report = DataReport.model_validate_json((evidence / "report.json").read_text(encoding="utf-8"))
    assert report.bad_rows == 1000
    assert any("999" in example for finding in report.findings for example in finding.examples)


def test_a_planned_rollback_says_what_it_would_do(story: dict[str, Act]) -> None:
    act = story["plan"]
    assert act.run.state == "success"
    assert act.run.returned["rollback"]["is_dry_run"] is True
    assert act.run.returned["rollback"]["version"] == 1
    assert act.serving == story["better"].serving
    assert act.entries == {}


def test_a_rollback_brings_the_whole_bundle_back_and_denies_the_other(story: dict[str, Act], site: Site) -> None:
    act, taken_back = story["rollback"], story["better"].serving.champion
    assert act.run.state == "success"
    assert act.serving.change is Change.ROLLBACK
    assert act.serving.champion == story["first"].serving.champion
    assert act.aliases[Alias.CHAMPION] == 1
    assert act.facts(EntryKind.DENIED)["digest"] == taken_back.model_sha256
    assert act.entries[EntryKind.DEPLOYED].reason == "customers complain"
    assert site.hooks.registry.tags(taken_back)["suspect_data"] == taken_back.data_version


def test_what_was_rolled_back_cannot_be_promoted_again(story: dict[str, Act], site: Site) -> None:
    hooks = site.hooks
    serving = hooks.deployments.current(MODEL)
    assert serving is not None
    again = Blessing(
        challenger=story["better"].serving.champion,
        champion_version=serving.champion.version,
        champion_epoch=serving.epoch,
        judgement_sha256="a" * 64,
        rubber_stamped=False,
    )
    hooks.ledger.append(MODEL, EntryKind.BLESSED, "ann", "please", facts=again.model_dump(mode="json"))
    with site.here(), pytest.raises(DigestDenied, match="customers complain"):
        promote(hooks.deployments, hooks.registry, again, by=By(actor="ann", reason="please"))
    assert hooks.deployments.current(MODEL) == serving


def test_a_challenger_that_was_overtaken_is_not_promoted(story: dict[str, Act]) -> None:
    act = story["overtaken"]
    assert (act.run.state, act.run.outcome, act.run.tasks["promote"]) == ("failed", "promotion_refused", "failed")
    assert EntryKind.BLESSED in act.entries
    assert "its blessing is stale. Run the retraining again" in act.run.sentence
    assert "stale" in act.entries[EntryKind.REFUSED].reason
    assert act.serving.champion.version == story["dry"].run.returned["evaluate"]["bundle"]["version"]


def test_every_number_of_the_champion_can_be_traced_to_the_data(
    story: dict[str, Act], site: Site, tmp_path: Path
) -> None:
    act, hooks = story["better"], site.hooks
    judged, champion = act.facts(EntryKind.JUDGED), act.serving.champion
    assert act.facts(EntryKind.DEPLOYED)["deployment"]["blessing"] == act.facts(EntryKind.BLESSED)
    assert act.facts(EntryKind.BLESSED)["judgement_sha256"] == judged["judgement_sha256"] == digest(judged["judgement"])
    measured = next(c["challenger"] for c in judged["report"]["comparisons"] if c["metric"] == "roc_auc")
    assert answer(act, "roc_auc.floor")["measured"] == measured

    restored = hooks.data_versions.restore(champion.data_version, tmp_path / "data.parquet")
    assert hashlib.sha256(restored.read_bytes()).hexdigest() == champion.data_version == judged["data_version"]

    tags = hooks.registry.tags(champion)
    bundle = champion.model_dump(mode="json", exclude={"decision_threshold"})
    assert {name: tags.get(name, value) for name, value in bundle.items()} == bundle
    assert tags["airflow_run_id"] == act.run.id
    assert tags["parent_version"] == "1"

    report = hooks.registry.fetch_file(champion, "report", tmp_path / "report")
    assert artefact_of(report, tmp_path).sha256 == judged["report_sha256"]
    shown = EvaluationReport.model_validate_json((report / "report.json").read_text(encoding="utf-8"))
    assert next(c.challenger for c in shown.comparisons if c.metric == "roc_auc") == measured
    declared = hooks.registry.fetch_file(champion, "spec.json", tmp_path / "spec.json")
    assert ModelSpec.model_validate_json(declared.read_text(encoding="utf-8")).digest() == champion.spec_sha256
    assert hooks.ledger.verify().ok


def answer(act: Act, gate: str) -> dict[str, Any]:
    return next(
        dict(result) for result in act.facts(EntryKind.JUDGED)["judgement"]["results"] if result["gate"] == gate
    )


def digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


TRAINER = """
from sklearn.tree import DecisionTreeClassifier


def train(frame, params, context):
    if params["max_depth"] == 3:
        raise MemoryError("the machine of this trial has died")
    model = DecisionTreeClassifier(random_state=context.seed, **params)
    return model.fit(frame[list(context.features)], frame[context.target])
"""


def test_a_lost_trial_does_not_lose_the_search_and_a_known_space_needs_one_round(site: Site) -> None:
    site.deliver("tuned", hourly().drop(columns="region"))
    search = {"max_depth": {"choices": [3, 7]}}
    path = site.declare("tuned", train={"trainer": "trainer.py:train", "search": search, "budget": 3, "parallelism": 2})
    (path.parent / "trainer.py").write_text(TRAINER, encoding="utf-8")

    full = site.retrain("tuned")
    trials = {task: state for task, state in full.tasks.items() if task.startswith("trial_")}
    assert len(trials) == 3
    assert set(trials.values()) == {"success", "failed"}
    assert (full.state, full.outcome) == ("success", "promoted")
    trained = site.hooks.ledger.entries("tuned", [EntryKind.TRAINED])[0].facts
    assert trained["searched"] == {"max_depth": 7}

    warm = site.retrain("tuned", before={"train": stop})
    assert warm.returned["ask_1"][0]["params"] == {"max_depth": 7}
    assert warm.returned["ask_2"] == []
    assert "trial_2[0]" not in warm.tasks


def test_a_search_that_loses_every_trial_says_what_the_trials_were_refused_for(site: Site) -> None:
    site.deliver("mistuned", hourly().drop(columns="region"))
    search = {"max_dept": {"low": 2, "high": 5}}
    site.declare("mistuned", train={"estimator": "decision_tree", "search": search, "budget": 2, "parallelism": 2})
    lost = site.retrain("mistuned")
    assert lost.outcome == "broken"
    (entry,) = site.hooks.ledger.entries("mistuned", [EntryKind.CONCLUDED])
    assert "None of the 2 trials" in entry.reason
    assert "did you mean 'max_depth'" in entry.reason
    assert "start a new run" in entry.reason


def stop() -> None:
    raise AirflowFailException("far enough for this test")


def test_a_database_is_read_incrementally_and_its_address_is_written_nowhere(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "open-sesame-4711"
    database = tmp_path / secret / "market.db"
    database.parent.mkdir()
    monkeypatch.setenv("AIRFLOW_CONN_MARKET", f"sqlite:///{database}")
    market = hourly()
    fill(database, market.head(2000))
    query = "SELECT * FROM market WHERE at >= {start} AND at < {end}"
    site.declare(
        "traded", data={"query": query, "connection": "market", "time": "at", "target": "up", "incremental": True}
    )

    first = site.retrain("traded")
    assert first.outcome == "promoted"
    fill(database, market.tail(1000))
    forget(database, market.head(1500))
    second = site.retrain("traded", before={"train": stop})
    assert second.returned["snapshot"]["rows"] == len(market)
    report = json.loads((site.home / "workspace" / "traded" / second.key / "check" / "report.json").read_text())
    assert report["rows"] == len(market)

    said = capfd.readouterr()
    assert "data check passed" in said.out
    assert secret not in said.out + said.err
    assert [path for path in files_of_airflow_and(site) if secret.encode() in path.read_bytes()] == []


def fill(database: Path, rows: Any) -> None:
    with sqlite3.connect(database) as connection:
        rows.to_sql("market", connection, if_exists="append", index=False)
    connection.close()


def forget(database: Path, rows: Any) -> None:
    with sqlite3.connect(database) as connection:
        connection.executemany("DELETE FROM market WHERE at = ?", [(at,) for at in rows["at"]])
    connection.close()


def files_of_airflow_and(site: Site) -> list[Path]:
    """List all that the run wrote: Airflow's database (serialised DAGs, XComs, rendered fields), its logs, our home."""
    roots = (Path(os.environ["AIRFLOW_HOME"]), site.home)
    found = [path for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.name == "airflow.db" for path in found)
    return found


def test_the_declared_spec_is_the_one_in_the_run_folder(story: dict[str, Act], site: Site) -> None:
    frozen = ModelSpec.model_validate_json(
        (site.home / "workspace" / MODEL / story["overtaken"].run.key / "spec.json").read_text(encoding="utf-8")
    )
    assert frozen == load_spec(site.spec_path(MODEL))
