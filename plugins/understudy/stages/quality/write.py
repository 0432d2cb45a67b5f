"""Write a quality report as report.html and report.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.monitoring import QualityReport
from understudy.stages.quality.answered import Answered
from understudy.stages.report.write import render


def write_quality(folder: Path, report: QualityReport, live: Answered, spread: float | None, spec: ModelSpec) -> Path:
    """Write both files.

    :param spread: the standard deviation of a regression's target, in which losses are given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps(report.model_dump(mode="json"), indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    page = render(
        "quality.html.jinja",
        report=report,
        spec=spec,
        block=live.blocks.length,
        used=len(live.answers),
        losses=_by_block(live, spread),
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder


def _by_block(live: Answered, spread: float | None) -> list[tuple[str, int, float]]:
    """Give start, rows and mean loss of each block; none where rows are undated."""
    times, blocks, answers = live.times, live.blocks, live.answers
    if times is None or not len(answers) or (not answers.task.is_classification and not spread):
        return []
    if answers.task.is_classification:
        losses = (answers.predicted != answers.actual).astype(np.float64)
    else:
        losses = np.abs(answers.predicted - answers.actual) / (spread or 1.0)
    sums = np.bincount(blocks.ids, weights=losses, minlength=blocks.count)
    firsts = [int(np.argmax(blocks.ids == block)) for block in range(blocks.count)]
    return [
        (f"{times.iloc[first]:%Y-%m-%d %H:%M}", int(size), float(total / size))
        for first, size, total in zip(firsts, blocks.sizes, sums, strict=True)
    ]
