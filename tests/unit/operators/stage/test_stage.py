"""StageOperator with real processes; only Airflow's stores are stood in for."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization

from tests.unit.operators.probe import Store, context, jobs, operator
from understudy.contract.errors import UnknownModel
from understudy.operators.run_context import as_of, run_folder
from understudy.operators.stage.stage import StageOperator
from understudy.operators.stage_errors import BadMoment, InputUnusable

pytestmark = pytest.mark.usefixtures("probe_home")


def test_it_returns_the_report_and_outputs_below_the_workspace_and_leaves_no_job(probe_home: Path) -> None:
    store = Store()
    answer = operator("count").execute(context(store))
    assert answer["report"]["as_of"] == "2026-03-01 00:00:00+00:00"
    assert (probe_home / "workspace" / answer["outputs"]["n"]["path"]).read_text() == "1"
    assert store == {}
    assert jobs() == []


def test_the_answer_is_kept_as_evidence_before_it_is_judged(probe_home: Path) -> None:
    class Judging(StageOperator):
        def conclude(self, context: Any, result: Any, folder: Any) -> dict[str, Any]:
            raise AirflowSkipException(sorted(path.name for path in folder.path.glob("*.result.json"))[0])

    with pytest.raises(AirflowSkipException, match=r"t\.result\.json"):
        operator("count", Judging).execute(context())
    assert jobs() == []


@pytest.mark.parametrize("value", ["../outside", "/etc/passwd", "nowhere", {"path": "code"}, 7])
def test_inputs_stay_in_the_workspace(value: Any) -> None:
    task = operator("count")
    task.inputs = {"code": value}
    with pytest.raises(InputUnusable, match="'code'"):
        task.execute(context())


def test_a_typing_error_in_the_model_of_a_built_in_stage_is_named() -> None:
    with pytest.raises(UnknownModel, match="electricty"):
        StageOperator(task_id="t", stage="train", model="electricty").execute(context())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {
                "params": {"as_of": "2026-02-01T00:00:00Z"},
                "data_interval_end": datetime(2026, 1, 2, tzinfo=timezone.utc),
            },
            2,
        ),
        ({"params": {"as_of": None}, "data_interval_end": datetime(2026, 1, 2, tzinfo=timezone.utc)}, 1),
        ({"logical_date": datetime(2026, 4, 2, tzinfo=timezone.utc)}, 4),
        ({}, 3),
    ],
)
def test_a_run_looks_from_its_form_then_its_interval_then_when_it_was_due(given: dict[str, Any], expected: int) -> None:
    assert as_of(context(**given)).month == expected


def test_an_as_of_that_is_no_time_is_named() -> None:
    with pytest.raises(BadMoment, match="yesterday"):
        as_of(context(params={"as_of": "yesterday"}))


def test_a_run_has_one_folder_whatever_its_id_contains(probe_home: Path) -> None:
    folder = run_folder(context() | {"run_id": "manual__2026-01-01T00:00:00+00:00/../x"}, "m")
    assert folder.path.parent == probe_home / "workspace" / "m"


def test_it_serialises_in_a_dag_mapped_and_unmapped() -> None:
    with DAG(dag_id="d", schedule=None) as dag:
        operator("count")
        StageOperator.partial(task_id="m", stage="probe:slow", model="m").expand(stage_params=[{"seconds": 0}])
    assert json.dumps(DagSerialization.to_dict(dag))
