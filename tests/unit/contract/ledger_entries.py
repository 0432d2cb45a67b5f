"""Ledger entries for tests, in one line each."""

from datetime import datetime, timedelta, timezone
from typing import Any

from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.release import GENESIS, Bundle, Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind, Verdict

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def entry(
    kind: EntryKind, seq: int = 1, run: str | None = "run1", reason: str = "because", **facts: Any
) -> LedgerEntry:
    return LedgerEntry.model_validate(
        {
            "seq": seq,
            "at": BEGIN + timedelta(minutes=seq),
            "model": "price",
            "kind": kind,
            "actor": "ann",
            "reason": reason,
            "run": run,
            "facts": facts,
            "prev_hash": GENESIS,
            "hash": "",
        }
    )


def bundle(version: int) -> Bundle:
    return Bundle(
        model="price",
        version=version,
        model_sha256=str(version) * 64,
        image_digest="sha256:i",
        code_commit="c",
        spec_sha256="s",
        data_version="d",
        run="run1",
        reference_data="d",
    )


def record(change: Change, epoch: int, champion: int, **more: Any) -> dict[str, Any]:
    deployment = Deployment(model="price", epoch=epoch, change=change, champion=bundle(champion), previous=None, **more)
    return {"epoch": epoch, "deployment": deployment.model_dump(mode="json")}


def judgement(verdict: Verdict, gate: str = "roc_auc.floor") -> dict[str, Any]:
    answer = GateResult(
        gate=gate, verdict=verdict, measured=0.71, low=0.69, bound="at least 0.75", sentence="roc_auc is 0.71"
    )
    return Judgement(verdict=verdict, results=(answer,)).model_dump(mode="json")
