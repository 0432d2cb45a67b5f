"""What a run may be asked for: the fields of its form. Airflow itself lets any other pass."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

from tests.unit.operators.price import context
from understudy.action_dags import build_action_dag, build_rollback_dag
from understudy.contract.words import Action
from understudy.dag_factory import moment_param, retraining_params
from understudy.hooks.connect import connect
from understudy.operators import ActOperator, RollbackOperator, SnapshotDataOperator
from understudy.operators.errors import RollbackRefused
from understudy.operators.run_context import UnknownField

pytestmark = pytest.mark.usefixtures("price_home")
ROLLBACK = RollbackOperator(task_id="rollback", model="price", reason="only looking")
HOLD = ActOperator(task_id="hold", action="hold", model="price", reason="only looking")
SNAPSHOT = SnapshotDataOperator(task_id="snapshot", model="price")


@pytest.mark.parametrize(
    ("task", "fields", "conf", "told"),
    [
        (ROLLBACK, build_rollback_dag(["price"]).params, {"dryrun": True}, "did you mean 'dry_run'"),
        (HOLD, build_action_dag(Action.HOLD, ["price"]).params, {"actor": "boss"}, "known: dry_run, model, reason"),
        (SNAPSHOT, retraining_params(), {"reason": "r", "asof": "2026-01-01"}, "did you mean 'as_of'"),
    ],
    ids=["rollback", "hold", "retrain"],
)
def test_a_field_that_the_form_has_not_is_refused_before_anything_is_done(
    task: BaseOperator, fields: Any, conf: dict[str, Any], told: str
) -> None:
    asked = context(**conf)
    asked["dag"] = SimpleNamespace(dag_id="d", params=fields)
    asked["dag_run"].conf = conf
    with pytest.raises((UnknownField, RollbackRefused), match=told) as refused:
        task.execute(asked)
    assert isinstance(refused.value, AirflowFailException)
    assert connect().ledger.entries("price") == []


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-31",
        "2026-01-31T03:00",
        "2026-01-31T03:00:00Z",
        "2026-01-31 03:00:00+02:00",
        "2026-01-31T03:00:00.123Z",
        "",
    ],
)
def test_a_moment_is_taken_as_people_and_the_form_write_it(moment: str) -> None:
    assert moment_param("As of", "").resolve(moment) == moment


@pytest.mark.parametrize("moment", ["soon", "1.1.2024", "2024-13-01T00:00:00Z", "2024-01-32", "2024-01-01T25:00", " "])
def test_what_is_no_moment_is_refused_before_the_run(moment: str) -> None:
    with pytest.raises(ParamValidationError):
        moment_param("As of", "").resolve(moment)
