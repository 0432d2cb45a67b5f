"""Versions on disk, the order to start one in a process, and what becomes of that process."""

import shutil
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import psutil

from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.contract.words import MlTask
from understudy.gateway.worker import Worker, WorkerStart
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.scorer import ModelFacts, Scorer

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
PATIENCE_S = 60.0
MIB = 1 << 20


def saved(
    folder: Path,
    model: Any,
    task: MlTask,
    rows: pd.DataFrame,
    *,
    classes: tuple[int, ...] = (),
    code: Path | None = None,
) -> Path:
    names = tuple(rows.columns)
    facts = ModelFacts(
        model="m", estimator="e", task=task, target="y", features=Features(names=names), inputs=names, classes=classes
    )
    day = datetime(2024, 1, 1, tzinfo=timezone.utc)
    save_model(folder, Scorer(facts, model), rows, code, day, allow_pickle=code is not None)
    return folder


def start_of(folder: Path, *, memory_mib: int = 2048, allow_pickle: bool = True, sha256: str = "") -> WorkerStart:
    bundle = Bundle(
        model="m",
        version=1,
        model_sha256=sha256 or artefact_of(folder, folder.parent).sha256,
        image_digest="",
        code_commit="",
        spec_sha256="",
        data_version="",
        run="",
        reference_data="",
    )
    return WorkerStart(
        bundle=bundle, folder=str(folder), memory_bytes=memory_mib * MIB, max_rows=100, allow_pickle=allow_pickle
    )


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pid_of(worker: Worker) -> int:
    assert worker.running.pid is not None
    return worker.running.pid


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "1"))
