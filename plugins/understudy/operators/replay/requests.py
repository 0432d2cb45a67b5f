"""What the stages of a replay are asked: the rows to read, the trainings that are missing, the walks, the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_moment, sha256_of
from understudy.contract.replay.plan import ReplayPlan
from understudy.contract.replay.report import Replayed, ReplayReport
from understudy.contract.stage import StageRequest, artefact_of, digest_file
from understudy.contract.words import EntryKind, ReplayPart, StageName
from understudy.hooks.connect import Hooks
from understudy.hooks.data.sources import find_sources, is_url
from understudy.settings import PROJECT

TRAININGS_AT_ONCE = 8
"""How many trainings one container does: few enough that a killed one loses little, and starts cost little."""
SUFFIX = ".npz"
# What changes when policies look and decide, and never how a training comes out.
UNTRAINED = {"retrain", "monitor", "serving", "shadow", "guard", "runtime", "stages", "description", "tags", "runbook"}


@dataclass(frozen=True)
class Replay:
    """Hold what all parts of one replay share."""

    spec: ModelSpec
    plan: ReplayPlan
    data: Path
    """The rows, as a snapshot wrote them."""
    folder: Path
    """Where trainings are remembered."""
    code: Path | None
    """The model's own folder, where the declaration names code in it."""
    run: str

    @property
    def trainings(self) -> Path:
        """Where the finished trainings lie."""
        return self.folder / "trainings"

    @property
    def missing(self) -> list[int]:
        """Name the moments at which no training is remembered."""
        there = {path.name.removesuffix(SUFFIX) for path in self.trainings.glob(f"*{SUFFIX}")}
        return [place for place in range(self.plan.grid.steps) if f"{place:05}" not in there]

    def shards(self, at_least: int = 1) -> list[list[int]]:
        """Deal the missing trainings to containers, to at least so many where there are enough."""
        missing = self.missing
        size = max(1, min(TRAININGS_AT_ONCE, -(-len(missing) // max(1, at_least))))
        return [missing[start : start + size] for start in range(0, len(missing), size)]

    def walkers(self) -> list[list[str]]:
        """Deal the policies to containers: each that watches gets its own, the others share one."""
        alone = [[policy.name] for policy in self.plan.policies if policy.watches]
        together = [policy.name for policy in self.plan.policies if not policy.watches]
        return [*alone, *([together] if together else [])]

    def train(self, places: Sequence[int]) -> tuple[StageRequest, dict[str, Path]]:
        """Ask for trainings."""
        return self._request(ReplayPart.TRAIN, {"places": list(places)}), self._inputs()

    def walk(self, policies: Sequence[str]) -> tuple[StageRequest, dict[str, Path]]:
        """Ask for the way of policies through the history."""
        return self._request(ReplayPart.WALK, {"policies": list(policies)}), self._inputs(trainings=self.trainings)

    def report(self, walks: Sequence[Mapping[str, Any]]) -> tuple[StageRequest, dict[str, Path]]:
        """Ask for the report on all walks."""
        asked: dict[str, JsonValue] = {"walks": [dict(way) for way in walks]}
        return self._request(ReplayPart.REPORT, asked), self._inputs(trainings=self.trainings)

    def take_in(self, written: Path) -> int:
        """Remember what a container trained; repeating that is harmless."""
        self.trainings.mkdir(parents=True, exist_ok=True)
        files = sorted(written.glob(f"*{SUFFIX}"))
        for path in files:
            path.replace(self.trainings / path.name)
        return len(files)

    def _inputs(self, **more: Path) -> dict[str, Path]:
        return {"data.parquet": self.data, **more, **({"code": self.code} if self.code else {})}

    def _request(self, part: ReplayPart, params: Mapping[str, JsonValue]) -> StageRequest:
        return StageRequest(
            stage=StageName.REPLAY.value,
            model=self.spec.model,
            run=self.run,
            as_of=self.plan.grid.moments[-1],  # a replay asks the same whenever it is run
            seed=self.spec.train.seed,
            spec=self.spec.model_dump(mode="json"),
            params={"part": part.value, "plan": self.plan.model_dump(mode="json"), **params},
        )


def replay_of(
    spec: ModelSpec, plan: ReplayPlan, rows: Path, image: str, *, workspace: Path, models_dir: Path, run: str
) -> Replay:
    """Put a replay together; its rows move to where its trainings are remembered.

    :param image: the digest of the code that trains.
    """
    code = model_code(spec, models_dir)
    key = replay_key(spec, plan, digest_file(rows), image, code)
    folder = workspace / spec.model / f"replay-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    kept = rows.replace(folder / "data.parquet")
    return Replay(spec, plan, kept, folder, code, run)


def replay_key(spec: ModelSpec, plan: ReplayPlan, data: str, image: str, code: Path | None) -> str:
    """Name what decides how trainings come out; equal keys share them, whatever the policies.

    :param data: the digest of the rows; ``image`` that of the code that trains.
    """
    own = artefact_of(code, code.parent).sha256 if code else None
    declared = spec.model_dump(mode="json", exclude=UNTRAINED)
    asked = plan.model_dump(mode="json", exclude={"policies", "tolerance"})
    return sha256_of([declared, asked, data, image, own])[:16]


def rows_request(
    spec: ModelSpec, run: str, data_roots: str, *, as_of: datetime, start: datetime | None, end: datetime | None
) -> tuple[StageRequest, dict[str, Path]]:
    """Ask a snapshot for all rows of a replay's time, which may be all there are.

    :raises SourceUnusable: when the declared file cannot be given to a stage.
    """
    source = spec.data.source
    files = {} if source is None or is_url(source) else find_sources(source, PROJECT, data_roots)
    params: dict[str, JsonValue] = {
        "start": format_moment(start),
        "end": format_moment(end),
        "urls": [source] if source and is_url(source) else [],
        "sources": {name: path.name for name, path in files.items()},
    }
    return (
        StageRequest(
            stage=StageName.SNAPSHOT.value,
            model=spec.model,
            run=run,
            as_of=as_of,
            seed=spec.train.seed,
            spec=spec.model_dump(mode="json"),
            params=params,
        ),
        files,
    )


def model_code(spec: ModelSpec, models_dir: Path) -> Path | None:
    """Give the model's folder where its declaration names code in it."""
    has_value = spec.evaluate.value is not None and spec.evaluate.value.function is not None
    return models_dir / spec.model if spec.train.trainer or spec.data.prepare or has_value else None


def walks_of(report: Mapping[str, JsonValue]) -> list[dict[str, JsonValue]]:
    """Read the walks that a container reported."""
    walks = report.get("walks")
    return [dict(way) for way in walks if isinstance(way, dict)] if isinstance(walks, list) else []


def seconds_of(timings: Mapping[str, float]) -> list[float]:
    """Read how long each training of a container took."""
    return [took for name, took in timings.items() if name.startswith("training_")]


def replayed_of(report: ReplayReport, folder: Path, seconds: Sequence[float]) -> Replayed:
    """Put together what a replay leaves behind; ``seconds`` are those of the trainings that were not remembered."""
    told = report.recommendation.sentence if report.recommendation else "the quality of no policy could be measured"
    return Replayed(
        report=report,
        key=folder.name.removeprefix("replay-"),
        seconds_per_training=sum(seconds) / len(seconds) if seconds else None,
        trained_now=len(seconds),
        sentence=f"{len(report.policies)} policies over {len(report.moments) - 1} steps: {told}",
    )


def keep_replay(hooks: Hooks, replayed: Replayed, folder: Path, actor: str, run: str) -> None:
    """Write one line into the ledger; the page, the picture and the numbers go to MLflow after that."""
    report = replayed.report
    facts = {
        "key": replayed.key,
        "data_version": report.data_version,
        "recommendation": report.recommendation.model_dump(mode="json") if report.recommendation else None,
        "seconds_per_training": replayed.seconds_per_training,
        "report_sha256": digest_file(folder / "replay.json"),
        "policies": [result.model_dump(mode="json", exclude={"walk", "by_step"}) for result in report.policies],
    }
    hooks.ledger.append(report.model, EntryKind.REPLAYED, actor, replayed.sentence, run, facts)
    hooks.registry.keep_evidence(report.model, f"replay {replayed.key}", {"replay": folder}, _metrics(report))


def _metrics(report: ReplayReport) -> dict[str, float]:
    measured = {f"{r.policy.replace(':', '_')}_{report.metric}": r.quality for r in report.policies}
    counted = {f"{r.policy.replace(':', '_')}_trainings": float(r.trainings) for r in report.policies}
    return {**{name: value for name, value in measured.items() if value is not None}, **counted}
