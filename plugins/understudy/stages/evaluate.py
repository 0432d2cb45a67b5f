"""Challenger and champion on the same future rows. Measures only; whether it is enough is judged elsewhere."""

import logging
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import EvaluationReport, ModelDelta, Number
from understudy.stages.context import Refused, StageContext, StageOutput, stage

if TYPE_CHECKING:
    from understudy.stages.measure.contest import Contest
    from understudy.stages.model.scorer import Scorer
    from understudy.stages.window import Window

log = logging.getLogger(__name__)


@stage
def run(context: StageContext) -> StageOutput:
    """Measure a challenger on rows that no training has seen.

    Needs ``holdout.parquet``, ``challenger`` and ``references``; takes ``champion`` and ``code``.

    ``params``: ``challenger_version``, ``champion_version``, ``challenger_train_end``, ``champion_train_end``,
    ``allow_pickle``. Writes ``report``, a folder with report.html and report.json.
    """
    from understudy.stages.measure.contest import hold_contest
    from understudy.stages.measure.latency import latency_p95_ms
    from understudy.stages.measure.leaks import leaked_rows
    from understudy.stages.report.write import write_report

    spec, params = ModelSpec.model_validate(context.request.spec), context.request.params
    holdout = _holdout(context.inputs["holdout.parquet"], spec)
    started = time.perf_counter()
    challenger = _load(context, "challenger")
    load_s = time.perf_counter() - started
    champion = _load(context, "champion") if "champion" in context.inputs else None
    if (champion is None) != (params.get("champion_version") is None):
        raise Refused("params.champion_version and the input 'champion' must come together", "params.champion_version")
    references = {
        path.name: _load(context, "references", path.name) for path in sorted(context.inputs["references"].iterdir())
    }

    log.info("%d models answer %d holdout rows", 1 + bool(champion) + len(references), len(holdout))
    contest = hold_contest(spec, holdout, challenger, champion, references=references, code=context.inputs.get("code"))
    seen_by = [(challenger.facts, _moment(params, "challenger_train_end"))]
    seen_by += [(champion.facts, _moment(params, "champion_train_end"))] if champion else []
    report = evaluation_report(
        contest,
        str(params.get("challenger_version", "")),
        params.get("champion_version"),  # type: ignore[arg-type]
        leaked=leaked_rows(holdout, spec, seen_by),
        size_mb=_size_mb(context.inputs["challenger"]),
        champion_size_mb=_size_mb(context.inputs["champion"]) if champion else None,
        is_linear=challenger.facts.is_linear,
    )
    latencies = {"latency_p95_ms": latency_p95_ms(challenger, holdout.frame)}
    if champion:
        latencies["champion_latency_p95_ms"] = latency_p95_ms(champion, holdout.frame)
    log.info("writing the report")
    # People read the latencies too; in the stage's own answer they are timings, as no two runs give the same.
    shown = report.model_copy(update={"measurements": {**report.measurements, **latencies}})
    folder = write_report(context.outputs / "report", shown, contest)
    return StageOutput(report, {"report": folder}, {**latencies, "load_s": load_s})


def _holdout(path: Path, spec: ModelSpec) -> "Window":
    import numpy as np

    from understudy.stages.window import read_window

    window = read_window(path, spec, any_classes=True)
    if len(window) <= spec.evaluate.max_rows:
        return window
    log.info("thinning %d holdout rows to %d, evenly", len(window), spec.evaluate.max_rows)
    return window.take(np.linspace(0, len(window) - 1, spec.evaluate.max_rows).astype(np.int64))


def _load(context: StageContext, name: str, below: str = "") -> "Scorer":
    from understudy.stages.model.model_files import PickleRefused, load_model

    try:
        return load_model(context.inputs[name] / below, allow_pickle=context.request.params.get("allow_pickle") is True)
    except PickleRefused as refused:
        raise Refused(str(refused), "train.allow_pickle") from refused


def _moment(params: dict[str, Any], name: str) -> datetime | None:
    given = params.get(name)
    try:
        return None if given is None else datetime.fromisoformat(str(given).replace("Z", "+00:00"))
    except ValueError as unreadable:
        raise Refused(f"params.{name} is {given!r}, which is not an ISO 8601 time", f"params.{name}") from unreadable


def _size_mb(folder: Path) -> float:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts) / 1e6


def evaluation_report(
    contest: "Contest",
    version: str,
    champion_version: int | None,
    *,
    leaked: int,
    size_mb: Number,
    champion_size_mb: Number = None,
    is_linear: bool,
) -> EvaluationReport:
    """Put together what a contest measured; sizes are None where no files were written."""
    from understudy.stages.measure.delta import model_delta
    from understudy.stages.measure.slices import compare_slices, parity_gap

    spec, holdout, champion = contest.spec, contest.holdout, contest.champion
    delta = model_delta(contest.challenger, champion) if champion is not None else None
    return EvaluationReport(
        task=spec.task.value,
        primary=spec.primary,
        challenger_version=version,
        champion_version=champion_version,
        rows=len(holdout),
        blocks=contest.blocks.count,
        holdout_start=holdout.first_time,
        holdout_end=holdout.last_time,
        leaked_rows=leaked,
        comparisons=contest.comparisons(),
        references=contest.reference_comparisons(),
        slices=compare_slices(holdout.frame, contest.challenger, champion, contest.blocks, spec)
        if champion is not None
        else (),
        measurements=_measurements(delta, parity_gap(holdout.frame, contest.challenger, spec))
        | {"size_mb": size_mb, "champion_size_mb": champion_size_mb},
        delta=delta,
        is_linear=is_linear,
    )


def _measurements(delta: ModelDelta | None, parity: float | None) -> dict[str, Number]:
    return {
        "parity_gap": parity,
        "churn_share": delta.churn_share if delta else None,
        "negative_flip_share": delta.negative_flip_share if delta else None,
    }
