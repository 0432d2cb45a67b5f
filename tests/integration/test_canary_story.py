"""A canary's whole story at two real gateways, under load: a good challenger is promoted, a worse one is given up."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from airflow.sdk.exceptions import TaskDeferred

from tests.integration.real_gateway import MODEL, PATIENCE_S, TOKEN, Running, Trained, lay_out, running
from tests.unit.operators.live_traffic import Registry, judgement, seen_by
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect
from understudy.operators import CanaryOperator, PromoteOperator
from understudy.operators.errors import RehearsalDeclined
from understudy.operators.handover import Canaried, Evaluated
from understudy.operators.live.canary_trigger import CanaryTrigger
from understudy.settings import settings
from understudy.workspace import run_key

SHARES = [0.25, 0.5, 1.0]
# By labels alone: what a busy machine does to times and memory must not decide here.
CANARY = {
    "steps": SHARES, "hold": "0s", "step_deadline": "4m", "block": "1s", "min_labels": 100, "min_requests": 20,
    "max_latency_ratio": 1000, "max_memory_ratio": 100,
}  # fmt: skip
ROWS = 20


class LabelledCallers:
    """Callers of two gateways, each with a key of its own, who say soon after what was true: version 1's rule."""

    def __init__(self, gateways: tuple[Running, ...]) -> None:
        self.answers: list[tuple[int, str, str]] = []
        """The status, the version and the role of each answer."""
        self._enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(gateway, number))
            for number, gateway in enumerate(itertools.islice(itertools.cycle(gateways), 4))
        ]

    def __enter__(self) -> "LabelledCallers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _call(self, gateway: Running, seed: int) -> None:
        draw, base = np.random.default_rng(seed), f"{gateway.url}/models/{MODEL}"
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self._enough.is_set():
                rows = draw.normal(size=(ROWS, 3))
                split = {"columns": ["a", "b", "c"], "data": rows.tolist()}
                key = {"X-Understudy-Key": f"caller-{draw.integers(1000)}"}
                answer = client.post(f"{base}/invocations", json={"dataframe_split": split}, headers=key)
                named = [answer.headers.get(f"x-understudy-{name}", "") for name in ("version", "role", "request-id")]
                self.answers.append((answer.status_code, named[0], named[1]))
                truth = (rows[:, 0] + rows[:, 1] > 0).astype(int)
                labels = [{"request_id": named[2], "row": row, "label": int(y)} for row, y in enumerate(truth)]
                client.post(f"{base}/labels", json={"labels": labels}).raise_for_status()


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[tuple[Running, ...]]:
    home = tmp_path_factory.mktemp("home")
    lay_out(home, trained)
    declare(home / "models")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        made = tuple(
            stack.enter_context(running(lay_out(home / name, trained), name=name)) for name in ("east", "west")
        )
        patch.setenv("UNDERSTUDY_HOME", str(home))
        patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", ",".join(gateway.url for gateway in made))
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        patch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: Registry())
        settings.cache_clear()
        yield made
    settings.cache_clear()


def declare(models: Path) -> None:
    spec = {
        "model": MODEL, "owner": "harbour", "task": "binary_classification", "serving": {}, "canary": CANARY,
        "data": {"source": "/nowhere/x.csv", "target": "y", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
    }  # fmt: skip
    (models / MODEL).mkdir(parents=True)
    (models / MODEL / "model.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


def context(run_id: str) -> Any:
    now = datetime.now(timezone.utc)
    return {
        "ti": SimpleNamespace(xcom_push=lambda key, value: None),
        "run_id": run_id,
        "dag_run": SimpleNamespace(run_type="manual", triggering_user_name="ann", run_after=now),
        "params": {},
        "dag": SimpleNamespace(dag_id=f"retrain__{MODEL}"),
    }


def current() -> Deployment | None:
    return connect().deployments.current(MODEL)


def blessed(challenger: Bundle) -> dict[str, Any]:
    serving = current()
    told = Evaluated(
        bundle=challenger,
        champion_version=serving.champion.version if serving else None,
        champion_epoch=serving.champion_since if serving else 0,
        judgement=judgement(),
        is_blessed=True,
    )
    blessing = Blessing(
        challenger=challenger,
        champion_version=told.champion_version,
        champion_epoch=told.champion_epoch,
        judgement_sha256=told.judgement.digest(),
        rubber_stamped=False,
    )
    connect().ledger.append(MODEL, EntryKind.BLESSED, "ann", "fine", facts=blessing.model_dump(mode="json"))
    return told.model_dump(mode="json")


def canaried(told: dict[str, Any], run_id: str) -> Canaried:
    """Run the task as Airflow does: from one deferral to the next."""

    def deferred_by(act: Callable[[], dict[str, Any]]) -> CanaryTrigger | Canaried:
        try:
            return Canaried.model_validate(act())
        except TaskDeferred as deferred:
            return CanaryTrigger(**json.loads(json.dumps(deferred.trigger.serialize()[1])))

    operator = CanaryOperator(task_id="canary", model=MODEL, evaluated=told)
    reached = deferred_by(lambda: operator.execute(context(run_id)))
    while isinstance(reached, CanaryTrigger):
        event = seen_by(reached, 280)
        reached = deferred_by(lambda event=event: operator.execute_complete(context(run_id), event))  # type: ignore[misc]
    return reached


def promote(told: dict[str, Any], run_id: str, tried: Canaried) -> None:
    operator = PromoteOperator(task_id="promote", model=MODEL, evaluated=told, canaried=tried.model_dump(mode="json"))
    operator.execute(context(run_id))


def test_a_good_challenger_rises_to_all_callers_and_is_promoted_and_a_worse_one_is_given_up(
    gateways: tuple[Running, ...], trained: Trained
) -> None:
    first = blessed(trained[3][1])
    promote(first, "first", canaried(first, "first"))
    with LabelledCallers(gateways) as callers:
        good = blessed(trained[1][1])
        passed = canaried(good, "good")
        assert (passed.is_passed, passed.share) == (True, 1.0), passed.sentence
        promote(good, "good", passed)
        promoted_at = len(callers.answers)
        serving = current()
        assert serving is not None
        assert (serving.champion.version, serving.canary) == (1, None)

        worse = blessed(trained[2][1])
        with pytest.raises(RehearsalDeclined, match=r"provably more than the .* that is allowed"):
            canaried(worse, "worse")
        serving = current()
        assert serving is not None
        assert (serving.change, serving.champion.version, serving.canary) == (Change.CANARY_ENDED, 1, None)
    assert {status for status, _, _ in callers.answers} == {200}
    before, after = callers.answers[:promoted_at], callers.answers[promoted_at + 4 :]
    assert {role for _, _, role in before} == {"champion", "canary", "baseline"}
    # Of those that were asked before the promotion was confirmed, each caller may still have had one under way.
    assert "3" not in {version for _, version, _ in after}

    entries = connect().ledger.entries(MODEL, [EntryKind.CANARIED])
    steps: list[Any] = [entry.facts for entry in entries if entry.facts.get("report")]
    told = [(step["canary_version"], step["share"], step["verdict"]) for step in steps]
    assert told == [*((1, share, "passed") for share in SHARES), (2, SHARES[0], "failed")]
    assert all(step["report"]["gateways"] == ["east", "west"] for step in steps)
    changes = [served.deployment.change for served in connect().deployments.history(MODEL)]
    assert changes == [
        Change.PROMOTION, Change.CANARY_STARTED, Change.CANARY_STEPPED, Change.CANARY_STEPPED, Change.PROMOTION,
        Change.CANARY_STARTED, Change.CANARY_ENDED,
    ]  # fmt: skip
    assert connect().ledger.verify().ok
    assert run_key("good") in {entry.run for entry in entries}
