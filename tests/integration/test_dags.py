"""The DAGs that declarations make: parsed by Airflow's own loader, serialised as the scheduler stores them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from understudy.settings import settings

PROJECT = Path(__file__).resolve().parents[2]
SPEC = """\
model: {name}
owner: market-ml
task: binary_classification
description: Will the price go up?
data: {{source: data/electricity.csv.gz, time: timestamp, target: up, window: 90d}}
train: {{search: {{learning_rate: {{low: 0.01, high: 0.3, log: true}}}}, budget: 6, parallelism: 4}}
evaluate: {{slices: [region]}}
retrain: {{schedule: "0 3 * * 1", timezone: Europe/Berlin}}
gates: [{{metric: roc_auc, floor: 0.75, min_gain: 0.0}}, {{metric: size_mb, ceiling: 50}}]
"""


ACTIONS = ("hold", "release", "lock", "unlock", "stop_shadow")
STANDING = {"rollback", *ACTIONS, "rollback_drill", "housekeeping", "replay", "alerts"}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "models"
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(folder))
    for name in ("price", "demand"):
        declare(folder, name, SPEC.format(name=name))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def declare(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "model.yaml").write_text(text, encoding="utf-8")


def parsed(*files: str) -> dict[str, DAG]:
    found: dict[str, Any] = {}
    for file in files:
        bag = DagBag(dag_folder=str(PROJECT / file), safe_mode=True)
        assert bag.import_errors == {}
        found.update(bag.dags)
    return found


def test_every_declaration_becomes_a_dag(models: Path) -> None:
    dags = parsed("dags/retraining.py", "dags/operations.py")
    assert set(dags) == {"retrain__price", "retrain__demand", *STANDING}
    price = dags["retrain__price"]
    assert {t.task_id for t in price.tasks} == {
        "snapshot",
        "check",
        "ask_1",
        "trial_1",
        "ask_2",
        "trial_2",
        "train",
        "evaluate",
        "promote",
        "outcome",
    }
    assert price.owner == "market-ml"
    assert price.max_active_runs == 1
    assert "provably more than 0 better than the champion" in str(price.doc_md)
    assert "Europe/Berlin" in str(price.timetable)


LIVE = (
    SPEC
    + """\
serving: {{}}
shadow: {{deadline: 3d, min_labels: 500, block: 6h}}
canary: {{steps: [0.1, 0.5], step_deadline: 6h}}
guard: {{probation: 12h, min_agreement: 0.9, max_score_shift: 0.2}}
"""
)


def test_a_served_model_is_rehearsed_and_watched(models: Path) -> None:
    declare(models, "live", LIVE.format(name="live"))
    dag = parsed("dags/retraining.py")["retrain__live"]
    order = [task.task_id for task in dag.topological_sort()]
    assert order[-6:] == ["evaluate", "shadow", "canary", "promote", "guard", "outcome"]
    assert dag.get_task("canary").upstream_task_ids == {"evaluate", "shadow"}
    assert dag.get_task("promote").upstream_task_ids == {"evaluate", "shadow", "canary"}
    assert dag.get_task("outcome").upstream_task_ids == {"evaluate", "shadow", "canary", "promote", "guard"}
    # Waiting for traffic is no work: the limit of a run is that of its work, and the waiting beside it.
    assert dag.dagrun_timeout is not None
    assert timedelta(hours=24 + 72 + 12 + 12) <= dag.dagrun_timeout < timedelta(hours=24 + 72 + 12 + 13)
    page = str(dag.doc_md)
    for told in ("6. **shadow**", "for 3d at most", "at least 500 labels, by blocks of 6h", "9. **guard**", "for 12h"):
        assert told in page
    assert "7. **canary** lets a blessed challenger answer 10, 50% of the callers in turn" in page


@pytest.mark.parametrize(
    ("section", "step"),
    [("shadow: {}", "shadow"), ("canary: {}", "canary"), ("canary: {mode: ab}", "canary"), ("guard: {}", "guard")],
)
def test_a_step_is_there_if_its_section_is(models: Path, section: str, step: str) -> None:
    declare(models, "live", SPEC.format(name="live") + f"serving: {{}}\n{section}\n")
    tasks = {task.task_id for task in parsed("dags/retraining.py")["retrain__live"].tasks}
    assert tasks & {"shadow", "canary", "guard"} == {step}


@pytest.mark.parametrize(
    ("promotion", "tasks", "days"),
    [
        ("{{mode: auto}}", [], 0),
        ("{{mode: approval, timeout: 2d}}", ["approve"], 2),
        ("{{mode: approval, timeout: 2d, two_persons: true}}", ["approve", "approve_second"], 4),
    ],
)
def test_people_are_asked_between_all_evidence_and_the_promotion(
    models: Path, promotion: str, tasks: list[str], days: int
) -> None:
    declare(models, "asks", (LIVE + f"promotion: {promotion}\n").format(name="asks"))
    dag = parsed("dags/retraining.py")["retrain__asks"]
    assert {task.task_id for task in dag.tasks} & {"approve", "approve_second"} == set(tasks)
    for before, after in pairwise(("canary", *tasks, "promote")):
        assert before in dag.get_task(after).upstream_task_ids
    assert {dag.get_task(task).retries for task in tasks} <= {10}, "an answer outlives the ledger's bad half hour"
    assert dag.get_task("promote").retries != 10
    assert dag.dagrun_timeout is not None
    waiting = timedelta(hours=24 + 72 + 12 + 12, days=days)
    assert waiting <= dag.dagrun_timeout < waiting + timedelta(hours=2)
    assert ("**approve** asks whoever may answer on this DAG, for 2d at most" in str(dag.doc_md)) == bool(tasks)
    json.dumps(DagSerialization.to_dict(dag), default=str)


def test_a_new_model_waits_for_its_schedule(models: Path) -> None:
    price = parsed("dags/retraining.py")["retrain__price"]
    assert price.start_date is None
    assert '"run_immediately": false' in json.dumps(DagSerialization.to_dict(price), default=str)


@pytest.mark.parametrize("retrain", ['{schedule: "0 3 * * 1", timezone: Europe/Berlin}', "{}"], ids=["cron", "no cron"])
def test_events_on_its_asset_start_a_model_with_and_without_a_schedule(models: Path, retrain: str) -> None:
    text = SPEC.replace(
        '{{schedule: "0 3 * * 1", timezone: Europe/Berlin}}', retrain.replace("{", "{{").replace("}", "}}")
    )
    declare(models, "heat", text.format(name="heat"))
    stored = json.dumps(DagSerialization.to_dict(parsed("dags/retraining.py")["retrain__heat"]), default=str)
    assert "understudy://heat/retrain" in stored
    assert ("AssetOrTimeSchedule" in stored) == ("0 3 * * 1" in stored) == ("schedule" in retrain)


def test_a_broken_declaration_is_red_by_name_and_alone(models: Path) -> None:
    declare(models, "broken", SPEC.format(name="broken").replace("owner:", "ownr:"))
    dags = parsed("dags/retraining.py")
    assert set(dags) == {"retrain__price", "retrain__demand", "retrain__broken"}
    assert [t.task_id for t in dags["retrain__broken"].tasks] == ["broken_spec"]
    assert "did you mean 'owner'" in str(dags["retrain__broken"].doc_md)
    assert "broken-spec" in dags["retrain__broken"].tags


def test_a_task_parses_its_own_dag_only(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(models, "broken", "model: [")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "retrain__price")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "train")
    assert set(parsed("dags/retraining.py")) == {"retrain__price"}


def test_parsing_twice_gives_the_same_dag(models: Path) -> None:
    once, again = (
        {d: DagSerialization.to_dict(dag) for d, dag in parsed("dags/retraining.py").items()} for _ in range(2)
    )
    assert json.dumps(once, sort_keys=True, default=str) == json.dumps(again, sort_keys=True, default=str)


def test_the_forms_have_defaults_and_validate(models: Path) -> None:
    dags = parsed("dags/retraining.py", "dags/operations.py")
    defaults = {"reason": "", "as_of": None, "full_search": False, "dry_run": False, "promote_past": False}
    assert dags["retrain__price"].params.dump() == defaults
    form = dags["rollback"].params
    for field, bad in (("target", "the one before"), ("model", "../price"), ("reason", "")):
        with pytest.raises(Exception, match="Failed validating"):
            form.get_param(field).resolve(bad)


@pytest.mark.parametrize("dag_id", ["rollback", *ACTIONS])
def test_the_form_of_an_act_asks_for_a_model_and_a_reason_and_offers_a_dry_run(models: Path, dag_id: str) -> None:
    dag = parsed("dags/operations.py")[dag_id]
    form = dag.params
    assert form.get_param("dry_run").resolve() is False
    assert form.get_param("reason").resolve("<script>' OR 1=1 --") == "<script>' OR 1=1 --"
    for field, bad in (("model", "No Model"), ("reason", ""), ("reason", " \n"), ("reason", "x" * 1001)):
        with pytest.raises(Exception, match="Failed validating"):
            form.get_param(field).resolve(bad)
    assert ("version" in form) == (dag_id in {"lock", "unlock"})
    assert [task.task_id for task in dag.tasks] == [dag_id]
    assert "Dry run" in str(dag.doc_md)
    json.dumps(DagSerialization.to_dict(dag), default=str)


@pytest.mark.parametrize("dag_id", ["rollback", *ACTIONS])
def test_the_form_of_an_act_suggests_what_is_declared_and_takes_a_model_that_no_longer_is(
    models: Path, dag_id: str
) -> None:
    model = parsed("dags/operations.py")[dag_id].params.get_param("model")
    assert model.schema["examples"] == ["demand", "price"]
    assert [model.resolve(name) for name in ("price", "retired")] == ["price", "retired"]


def test_no_models_still_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "none"))
    settings.cache_clear()
    assert set(parsed("dags/retraining.py", "dags/operations.py")) == STANDING
    settings.cache_clear()


def test_the_drill_waits_for_a_person_until_it_has_a_schedule(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = parsed("dags/operations.py")["rollback_drill"]
    assert "NullTimetable" in type(drill.timetable).__name__
    assert [task.task_id for task in drill.topological_sort()] == ["models", "drill", "clear"]
    # A drill that dies with its worker is still cleared up after.
    assert drill.get_task("clear").is_teardown
    assert drill.get_task("drill").retries == 0
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DRILL_SCHEDULE", "0 5 * * 1")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DRILL_DETECT_WITHIN", "90s")
    settings.cache_clear()
    drill = parsed("dags/operations.py")["rollback_drill"]
    assert "0 5 * * 1" in str(drill.timetable)
    assert "finds the bad one out (90s at most)" in str(drill.doc_md)
    assert drill.dagrun_timeout is None


def test_the_hand_written_example_parses() -> None:
    dags = parsed("include/examples/hand_written/nightly_electricity.py")
    assert [t.task_id for t in dags["nightly_electricity"].topological_sort()][-1] == "outcome"


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("price_2", "model: price_2\x00"),
        ("price_2", "? [a, b]\n: c\n"),
        ("price_2", SPEC.format(name="price_2").replace("0 3 * * 1", "61 3 * * 1")),
        ("price_2", SPEC.format(name="price_2").replace("Europe/Berlin", "Europe")),
        ("Zürich 2", "no declaration"),
        ("x" * 250, "no declaration"),
    ],
    ids=["NUL byte", "list as a key", "impossible cron", "folder of time zones", "odd folder", "long folder"],
)
def test_whatever_is_wrong_with_one_model_the_others_keep_their_dags(models: Path, folder: str, text: str) -> None:
    declare(models, folder, text)
    dags = parsed("dags/retraining.py", "dags/operations.py")
    broken = [dag for dag in dags.values() if "broken-spec" in dag.tags]
    assert {"retrain__price", "retrain__demand", "rollback"} < set(dags)
    assert [task.task_id for dag in broken for task in dag.tasks] == ["broken_spec"]


def test_declarations_by_links_to_elsewhere_or_nowhere_are_red_by_name_and_alone(models: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(SPEC.format(name="linked"), encoding="utf-8")
    (models / "linked").mkdir()
    (models / "linked" / "model.yaml").symlink_to(secret)
    (models / "lost").mkdir()
    (models / "lost" / "model.yaml").symlink_to("gone.yaml")
    dags = parsed("dags/retraining.py")
    assert {"retrain__price", "retrain__demand"} <= set(dags)
    broken = {name: str(dag.doc_md) for name, dag in dags.items() if "broken-spec" in dag.tags}
    assert set(broken) == {"retrain__linked", "retrain__lost"}
    assert "is a link that leads out" in broken["retrain__linked"]
    assert "cannot be read (No such file or directory)" in broken["retrain__lost"]


def test_a_model_that_the_factory_cannot_build_stands_alone(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy import dag_factory

    build = dag_factory.build_retraining_dag

    def stumble(spec: Any) -> DAG:
        if spec.model == "price":
            raise KeyError("a bug")
        return build(spec)

    monkeypatch.setattr(dag_factory, "build_retraining_dag", stumble)
    dags = parsed("dags/retraining.py")
    assert "broken-spec" in dags["retrain__price"].tags
    assert "broken-spec" not in dags["retrain__demand"].tags


WATCHED = SPEC + "monitor: {{schedule: '30 * * * *', window: 7d}}\n"


def test_a_model_that_declares_it_is_watched(models: Path) -> None:
    declare(models, "seen", WATCHED.format(name="seen"))
    dags = parsed("dags/monitoring.py")
    assert set(dags) == {"monitor__seen"}
    dag = dags["monitor__seen"]
    assert dag.get_task("decide").upstream_task_ids == {"window", "drift", "quality"}
    assert dag.get_task("drift").upstream_task_ids == dag.get_task("quality").upstream_task_ids == {"window"}
    assert (dag.max_active_runs, "30 * * * *" in str(dag.timetable)) == (1, True)
    assert "columns with 30% of the importance moved" in str(dag.doc_md)
    json.dumps(DagSerialization.to_dict(dag), default=str)


def test_whatever_is_wrong_with_one_model_the_others_are_watched(models: Path) -> None:
    declare(models, "seen", WATCHED.format(name="seen"))
    declare(models, "broken", WATCHED.format(name="broken").replace("owner:", "ownr:"))
    declare(models, "lost", WATCHED.format(name="lost").replace("window: 7d", "of: scored"))
    dags = parsed("dags/monitoring.py")
    assert set(dags) == {"monitor__seen", "monitor__lost"}
    assert "does not say where they lie" in str(dags["monitor__lost"].doc_md)
    assert [task.task_id for task in dags["monitor__lost"].tasks] == ["broken_spec"]


def test_a_task_of_a_look_parses_its_own_dag_only(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("seen", "other"):
        declare(models, name, WATCHED.format(name=name))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "monitor__seen")
    assert set(parsed("dags/monitoring.py")) == {"monitor__seen"}
