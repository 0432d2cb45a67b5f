"""Replay a model's past on this machine: stages in parallel, each training remembered as soon as it is done."""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

from pydantic import JsonValue, SecretStr

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.errors import UnderstudyError
from understudy.contract.replay.plan import NoTime, ReplayPlan, plan_grid, usual_policies
from understudy.contract.replay.policies import Policy
from understudy.contract.replay.report import Replayed, ReplayReport
from understudy.contract.reports import SnapshotReport
from understudy.contract.stage import StageResult
from understudy.contract.words import StageName, Takeover
from understudy.embedded.stage_run import StageRuns
from understudy.hooks.data.database_url import database_url
from understudy.hooks.data.sources import is_url
from understudy.operators.replay.requests import Replay, replay_of, replayed_of, rows_request, seconds_of, walks_of
from understudy.operators.stage.plan import isolation_of, runner_of, runtime_of
from understudy.runners.nursery import nursery
from understudy.settings import Settings

T = TypeVar("T")
TRAINED = "trained at"  # how a training's line in the log is told from others


class ReplayRunning(UnderstudyError):
    """Another process replays the same."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The same replay of {model} is running already; wait for it, or end it first.")


class Progress(Protocol):
    """Show how far a replay is."""

    def begin(self, what: str, total: int) -> None:
        """Begin a part that consists of so many things."""
        ...

    def advance(self) -> None:
        """Tell that one more is done."""
        ...


@dataclass(frozen=True)
class Asked:
    """Hold what somebody wants to be replayed; what is None is chosen from the history."""

    policies: tuple[Policy, ...] | None
    start: datetime | None
    end: datetime | None
    step: timedelta | None
    takeover: Takeover
    parallel: int
    tolerance: float = 0.1


@dataclass(frozen=True)
class Done:
    """Give the facts and the folder that holds report, page and picture."""

    replayed: Replayed
    report: Path


def replay_locally(settings: Settings, spec: ModelSpec, asked: Asked, progress: Progress) -> Done:
    """Replay policies over a model's past; what an earlier replay of the same rows has trained is taken up.

    :raises UnderstudyError: in one sentence, where it cannot be done.
    """
    if spec.data.time is None:
        raise NoTime(spec.model)
    now = datetime.now(timezone.utc)
    scratch = settings.workspace_dir / spec.model / f"replay-rows-{uuid4().hex[:12]}"
    try:
        progress.begin("reading rows", 1)
        rows, report = _rows(settings, spec, asked, scratch, now)
        progress.advance()
        replay = _planned(settings, spec, asked, rows, report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.with_name(f"{scratch.name}.result.json").unlink(missing_ok=True)
    with _alone(replay), nursery():
        return _replay(StageRuns(settings, spec, replay.folder.name), replay, asked.parallel, progress)


def _rows(
    settings: Settings, spec: ModelSpec, asked: Asked, scratch: Path, now: datetime
) -> tuple[Path, SnapshotReport]:
    """Read all rows up to the end of the replay, also those that the first training reads."""
    window = spec.data.window
    start = asked.start - spec.data.label_delay - window if asked.start and window else None
    request, files = rows_request(spec, scratch.name, settings.data_roots, as_of=now, start=start, end=asked.end)
    secrets = {"connection_url": _connection_url(spec.data.connection)} if spec.data.connection else {}
    reaches_out = spec.data.query is not None or is_url(spec.data.source or "")
    result = StageRuns(settings, spec, scratch.name).run(
        "rows", request, files, scratch, lambda _: None, secrets=secrets, needs_network=reaches_out
    )
    return scratch / result.outputs["data"].path, SnapshotReport.model_validate(result.report)


def _connection_url(connection: str) -> SecretStr:
    from airflow.sdk import BaseHook

    return database_url(BaseHook.get_connection(connection))


def _planned(settings: Settings, spec: ModelSpec, asked: Asked, rows: Path, report: SnapshotReport) -> Replay:
    if report.start is None or report.end is None:
        raise NoTime(spec.model)
    grid = plan_grid(spec, report.start, report.end, start=asked.start, end=asked.end, step=asked.step)
    plan = ReplayPlan(
        grid=grid,
        policies=asked.policies or usual_policies(spec, grid),
        takeover=asked.takeover,
        tolerance=asked.tolerance,
    )
    runtime = runtime_of(StageName.REPLAY, RuntimeSpec(), spec)
    image = runner_of(isolation_of(runtime)).image_digest(str(runtime.image))
    return replay_of(
        spec,
        plan,
        rows,
        image,
        workspace=settings.workspace_dir,
        models_dir=settings.models_dir,
        run="replay",
    )


def _replay(runs: StageRuns, replay: Replay, parallel: int, progress: Progress) -> Done:
    try:
        seconds = _train(runs, replay, parallel, progress)
        walks = _walk(runs, replay, parallel, progress)
        progress.begin("writing the report", 1)
        request, paths = replay.report(walks)
        result = runs.run("report", request, paths, replay.folder / "report", lambda _: None)
        progress.advance()
    except BaseException:  # also Ctrl-C: stages must not go on for nobody
        runs.end()
        raise
    report = ReplayReport.model_validate(result.report)
    return Done(replayed_of(report, replay.folder, seconds), replay.folder / "report" / result.outputs["report"].path)


def _train(runs: StageRuns, replay: Replay, parallel: int, progress: Progress) -> list[float]:
    shards = replay.shards(parallel)
    progress.begin("training", sum(map(len, shards)))

    def hear(line: str) -> None:
        if TRAINED in line:
            progress.advance()

    def train(places: Sequence[int]) -> StageResult:
        name = f"train-{places[0]:05}"
        request, paths = replay.train(places)
        result = runs.run(name, request, paths, replay.folder / name, hear)
        replay.take_in(replay.folder / name / result.outputs["trainings"].path)
        shutil.rmtree(replay.folder / name, ignore_errors=True)
        (replay.folder / f"{name}.result.json").unlink(missing_ok=True)
        return result

    results = _in_parallel(parallel, train, shards)
    return [took for result in results for took in seconds_of(result.timings)]


def _walk(runs: StageRuns, replay: Replay, parallel: int, progress: Progress) -> list[dict[str, JsonValue]]:
    walkers = replay.walkers()
    progress.begin("walking", len(walkers))

    def walk(policies: Sequence[str]) -> StageResult:
        name = f"walk-{policies[0].replace(':', '-')}"
        request, paths = replay.walk(policies)
        result = runs.run(name, request, paths, replay.folder / name, lambda _: None)
        progress.advance()
        return result

    results = _in_parallel(parallel, walk, walkers)
    return [way for result in results for way in walks_of(result.report)]


def _in_parallel(parallel: int, do: Callable[[T], StageResult], pieces: Sequence[T]) -> list[StageResult]:
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        futures = [pool.submit(do, piece) for piece in pieces]
        try:
            results = [future.result() for future in as_completed(futures)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


@contextmanager
def _alone(replay: Replay) -> Iterator[None]:
    """Let one process at a time work on a replay; the lock goes with the process that holds it."""
    with (replay.folder / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise ReplayRunning(replay.spec.model) from taken
        yield
