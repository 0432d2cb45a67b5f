"""Where people are asked for an approval: the ledger is real, Airflow's supervisor a stand-in."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import TaskAwaitingInput, TaskDeferred

from tests.unit.operators.evaluated import evaluated
from understudy.contract.by import By
from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import Change, EntryKind, Verdict
from understudy.hooks.connect import connect
from understudy.operators import AskApprovalOperator, PromoteOperator
from understudy.operators.handover import Evaluated
from understudy.settings import settings
from understudy.workspace import run_key

BLESSED = evaluated(Verdict.PASSED, True)
RUN = run_key("manual__1")
NOW = datetime.now(timezone.utc)


class Desk:
    """A run's task, and what Airflow shows of it to people."""

    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.pushed: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        self.at = NOW
        self.answered: dict[str, Any] = {}

    def context(self, task: str = "approve", user: str = "carl") -> Any:
        ti = SimpleNamespace(
            id="ti-1",
            dag_id="retrain__price",
            run_id="manual__1",
            xcom_push=lambda key, value: self.pushed.update({key: value}),
        )
        return {
            "ti": ti,
            "run_id": "manual__1",
            "dag_run": SimpleNamespace(run_type="manual", triggering_user_name=user, run_after=NOW),
            "params": {"reason": "weekly"},
            "task_state_store": SimpleNamespace(
                get=lambda key: self.kept.get(f"{task}.{key}"),
                set=lambda key, value: self.kept.update({f"{task}.{key}": value}),
            ),
        }

    def ask(self, person: int = 1, **context: Any) -> TaskAwaitingInput:
        with pytest.raises(TaskAwaitingInput) as parked:
            operator(person).execute(self.context(operator(person).task_id, **context))
        return parked.value

    def answer(self, option: str = "Approve", by: str | None = "ann", reason: Any = "it gains", person: int = 1) -> Any:
        self.at += timedelta(seconds=1)
        self.answered = {
            "chosen_options": [option],
            "params_input": {"reason": reason},
            "responded_at": self.at,
            "responded_by_user": {"id": by, "name": by.title()} if by else None,
        }
        return self.answer_again(person)

    def answer_again(self, person: int = 1) -> Any:
        """Tell what was answered last, as Airflow does until the question is put anew."""
        return operator(person).execute_complete(self.context(operator(person).task_id), self.answered)

    def try_again(self, told: dict[str, Any]) -> Any:
        """Try a task again whose question stands there: it asks Airflow, which tells it this, and goes on."""
        with pytest.raises(TaskDeferred) as asks:
            operator().execute(self.context())
        assert asks.value.trigger.serialize()[1] == {"ti_id": "ti-1"}
        return getattr(operator(), asks.value.method_name)(self.context(), told)

    def promote(self) -> Any:
        return PromoteOperator(task_id="promote", model="price", evaluated=BLESSED).execute(self.context("promote"))


def bless() -> None:
    """Let version 7 have passed every gate against version 3."""
    told = Evaluated.model_validate(BLESSED)
    blessing = Blessing(
        challenger=told.bundle,
        champion_version=3,
        champion_epoch=2,
        judgement_sha256=told.judgement.digest(),
        rubber_stamped=False,
    )
    ledger = connect().ledger
    facts = {"version": 7, "judgement": told.judgement.model_dump(mode="json"), "verdict": "passed"}
    ledger.append("price", EntryKind.JUDGED, "carl", "all gates passed", RUN, facts)
    ledger.append("price", EntryKind.BLESSED, "carl", "all gates passed", RUN, blessing.model_dump(mode="json"))


def declare(**promotion: Any) -> None:
    spec = {
        "model": "price", "owner": "market-ml", "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}], "promotion": {"mode": "approval", **promotion},
    }  # fmt: skip
    path = settings().models_dir / "price" / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")


def serve(version: int, epoch: int) -> None:
    deployments = connect().deployments
    bundle = Evaluated.model_validate(BLESSED).bundle.model_copy(
        update={"version": version, "model_sha256": f"b{version}"}
    )
    found = deployments.current("price")
    for number in range(found.epoch + 1 if found else 1, epoch + 1):
        record = Deployment(model="price", epoch=number, change=Change.PROMOTION, champion=bundle, previous=None)
        deployments.deploy(record, number - 1, By(actor="dora", reason="by hand"))


def operator(person: int = 1) -> AskApprovalOperator:
    task = {1: "approve", 2: "approve_second"}[person]
    return AskApprovalOperator(task_id=task, model="price", evaluated=BLESSED, person=person)


def told(kind: EntryKind) -> list[Any]:
    return connect().ledger.entries("price", [kind])


def champion() -> int | None:
    current = connect().deployments.current("price")
    return current.champion.version if current else None
