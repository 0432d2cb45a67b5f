"""The model "demand" as ledger and Airflow tell of it."""

from datetime import datetime, timedelta, timezone
from typing import Any

from tests.fleet_ledger import record
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.overview.airflow_state import Airflow, DagState
from understudy.overview.glance import Glance, Recorded, glance

AT = datetime(2026, 3, 1, 3, 0, tzinfo=timezone.utc)
MODEL = "demand"


def entry(kind: EntryKind, seq: int = 1, reason: str = "because", **facts: Any) -> LedgerEntry:
    return LedgerEntry(
        seq=seq, at=AT + timedelta(minutes=seq), model=MODEL, kind=kind, actor="ann", reason=reason, run="run",
        facts=facts, prev_hash="0" * 64, hash="",
    )  # fmt: skip


def deployed(seq: int = 1, epoch: int = 2, **others: Any) -> LedgerEntry:
    told = record(MODEL, 2, epoch, **others)
    return entry(EntryKind.DEPLOYED, seq, epoch=epoch, deployment=told.model_dump(mode="json"))


def confirmed(epoch: int = 2, seq: int = 2) -> LedgerEntry:
    return entry(EntryKind.CONFIRMED, seq, epoch=epoch)


def dags(**retrain: Any) -> Airflow:
    return Airflow(dags={f"retrain__{MODEL}": DagState(dag_id=f"retrain__{MODEL}", owner="market-ml", **retrain)})


def seen(*entries: LedgerEntry, airflow: Airflow | None = None, founding: LedgerEntry | None = None) -> Glance:
    told = Recorded(newest={one.kind: one for one in entries}, founding=founding)
    return glance(MODEL, told, dags() if airflow is None else airflow)
