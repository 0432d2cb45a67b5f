"""What the tests of shadow and guard stand on: a ledger of their own, a fake gateway, and a registry that nods."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger

from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from understudy.contract.by import By
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.release import Blessing, Bundle, Deployment, LedgerEntry
from understudy.contract.serving import LATENCY_EDGES_MS, RehearsalReport, Tally
from understudy.contract.words import Change, EntryKind, MirrorLoss, Verdict
from understudy.hooks.connect import connect
from understudy.operators.handover import Deployed, Evaluated
from understudy.operators.live.canary_trigger import CanaryTrigger
from understudy.operators.live.rehearsal_trigger import RehearsalTrigger
from understudy.operators.live.watching import WatchingOperator
from understudy.settings import settings
from understudy.workspace import run_key

RUN_ID = "manual__1"
RUN = run_key(RUN_ID)


class Registry:
    """Stand in for MLflow, which takes whatever it is given."""

    def keep(self, bundle: Bundle) -> None: ...

    def follow(self, deployment: Deployment) -> dict[str, int]:
        return {}

    def forget_all_but(self, kept: Deployment) -> None: ...

    def mark_denied(self, *about: Any) -> None: ...


@contextmanager
def one_gateway(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    """Run a gateway that the settings name, with a ledger and declarations below ``home``."""
    monkeypatch.setenv("UNDERSTUDY_HOME", str(home))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
    monkeypatch.setattr("understudy.hooks.registry.registry.Registry", lambda *_, **__: Registry())
    with running("east") as (fake,):
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", fake.url)
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        settings.cache_clear()
        yield fake
    settings.cache_clear()


def declare(**sections: Any) -> None:
    spec = {
        "model": "price", "owner": "market-ml", "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}], "serving": {}, **sections,
    }  # fmt: skip
    path = settings().models_dir / "price" / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")


def context(pushed: dict[str, Any] | None = None) -> Any:
    told = {} if pushed is None else pushed
    return {
        "ti": SimpleNamespace(xcom_push=lambda key, value: told.update({key: value})),
        "run_id": RUN_ID,
        "dag_run": SimpleNamespace(run_type="manual", triggering_user_name="ann", run_after=datetime.now(timezone.utc)),
        "params": {},
        "dag": SimpleNamespace(dag_id="retrain__price"),
    }


def bundle(version: int) -> Bundle:
    return Bundle(
        model="price", version=version, model_sha256=f"{version:064}", image_digest="i", code_commit="c",
        spec_sha256="s", data_version="d", run="r", reference_data="d",
    )  # fmt: skip


def judgement(verdict: Verdict = Verdict.PASSED) -> Judgement:
    return Judgement(
        verdict=verdict, results=(GateResult(gate="roc_auc", verdict=verdict, bound="0.7", sentence="roc_auc is 0.6"),)
    )


def serve(version: int, *, mirror: float = 0.0, run: str | None = None) -> Deployment:
    """Let a version serve, beside the one before where there is one."""
    deployments = connect().deployments
    before = deployments.current("price")
    record = Deployment(
        model="price",
        epoch=(before.epoch if before else 0) + 1,
        change=Change.PROMOTION,
        champion=bundle(version),
        previous=before.champion if before else None,
        mirror=before.champion if before and mirror else None,
        mirror_share=mirror if before else 0.0,
    )
    deployments.deploy(record, record.epoch - 1, By(actor="ann", reason="test", run=run))
    deployments.confirm("price", record.epoch, "ann", {"version": version})
    return record


def evaluated(version: int = 7, *, is_blessed: bool = True, files_of: int | None = None) -> dict[str, Any]:
    current = connect().deployments.current("price")
    return Evaluated(
        bundle=bundle(version).model_copy(update={"model_sha256": bundle(files_of or version).model_sha256}),
        champion_version=current.champion.version if current else None,
        champion_epoch=current.champion_since if current else 0,
        judgement=judgement(Verdict.PASSED if is_blessed else Verdict.FAILED),
        is_blessed=is_blessed,
    ).model_dump(mode="json")


def bless(told: dict[str, Any]) -> None:
    known = Evaluated.model_validate(told)
    blessing = Blessing(
        challenger=known.bundle,
        champion_version=known.champion_version,
        champion_epoch=known.champion_epoch,
        judgement_sha256=known.judgement.digest(),
        rubber_stamped=known.judgement.rubber_stamped,
    )
    connect().ledger.append("price", EntryKind.BLESSED, "ann", "fine", facts=blessing.model_dump(mode="json"))


def deployed(record: Deployment) -> dict[str, Any]:
    return Deployed.by(record, "promoted").model_dump(mode="json")


def report(champion: int, mirror: int, *, lost: int = 0, errors: int = 0, requests: int = 500) -> RehearsalReport:
    """Give what a gateway says of two versions: some copies lost by the mirror, some requests by the champion."""

    def tally(count: int, errors: int = 0) -> Tally:
        counts = tuple(count if place == 10 else 0 for place in range(len(LATENCY_EDGES_MS) + 1))
        return Tally(requests=count, errors=errors, score_ms=counts, rss_bytes=10**8)

    now = datetime.now(timezone.utc)
    return RehearsalReport(
        model="price", champion_version=champion, mirror_version=mirror, gateways=("east",), since=now, until=now,
        champion=tally(requests, errors), mirror=tally(requests), unpaired={MirrorLoss.FAILED: lost} if lost else {},
        pairs=requests - lost, rows=requests, agreeing_rows=requests,
    )  # fmt: skip


def entries(kind: EntryKind) -> list[LedgerEntry]:
    return connect().ledger.entries("price", [kind])


def current() -> Deployment:
    record = connect().deployments.current("price")
    assert record is not None
    return record


def begin(operator: WatchingOperator, run: Any) -> RehearsalTrigger | CanaryTrigger:
    """Run a task up to its deferral and give its trigger, made anew as a triggerer does."""
    return deferred_by(lambda: operator.execute(run))


def deferred_by(act: Callable[[], object]) -> RehearsalTrigger | CanaryTrigger:
    """Give the trigger that a task waits for, made anew as a triggerer does."""
    with pytest.raises(TaskDeferred) as told:
        act()
    deferred: Any = told.value
    assert deferred.method_name == "execute_complete"
    path, kwargs = deferred.trigger.serialize()
    kind = RehearsalTrigger if path.endswith("RehearsalTrigger") else CanaryTrigger
    assert path == f"{kind.__module__}.{kind.__qualname__}"
    return kind(**kwargs)


def seen_by(trigger: BaseTrigger, within_s: float = 120) -> dict[str, Any]:
    """Wait for the trigger's one event."""

    async def wait() -> dict[str, Any]:
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return dict(events[0].payload)

    return asyncio.run(asyncio.wait_for(wait(), within_s))


def mirrored_at(gateway: FakeGateway) -> int | None:
    order = gateway.orders.get("price")
    return order.record.mirror.version if order and order.record.mirror else None
