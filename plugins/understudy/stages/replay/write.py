"""Write a replay as replay.html, replay.json and quality.png."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from understudy.contract.replay.report import PolicyResult, ReplayReport
from understudy.stages.report.plots import FAINT, as_text, new_figure, png_of
from understudy.stages.report.write import render

TEMPLATE = "replay.html.jinja"
COLORS = ("#0b6e4f", "#b3541e", "#2b6cb0", "#805ad5", "#b7791f", "#c53030", "#2c7a7b", "#4a5568", "#97266d", "#718096")
SMOOTHED_OVER = 20
"""A curve is the mean of the steps around each, a twentieth of all: single steps jump too much to be compared."""


def write_replay(folder: Path, report: ReplayReport) -> Path:
    """Write all three; the page holds everything it needs, and nothing that differs from machine to machine."""
    folder.mkdir(parents=True, exist_ok=True)
    body = report.model_dump(mode="json")
    (folder / "replay.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    picture = plot_quality(report)
    (folder / "quality.png").write_bytes(picture)
    page = render(TEMPLATE, report=report, picture=as_text(picture), recommended=recommended(report))
    (folder / "replay.html").write_text(page, encoding="utf-8")
    return folder


def recommended(report: ReplayReport) -> PolicyResult | None:
    """Give the result of the recommended policy."""
    named = report.recommendation.policy if report.recommendation else None
    return next((result for result in report.policies if result.policy == named), None)


def plot_quality(report: ReplayReport) -> bytes:
    """Draw the quality of each policy over time; below, when it trained, hollow where that was a false alarm."""
    figure, _ = new_figure(9.0, 4.2 + 0.24 * len(report.policies))
    figure.clear()
    heights = [3.6, 0.6 + 0.24 * len(report.policies)]
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": heights})
    for axis in (upper, lower):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    chosen = recommended(report)
    for number, result in enumerate(report.policies):
        color = COLORS[number % len(COLORS)]
        is_chosen = result is chosen
        upper.plot(
            report.moments[1:],
            smoothed(result.by_step),
            color=color,
            label=result.policy,
            linewidth=2.4 if is_chosen else 1.2,
            alpha=1.0 if is_chosen else 0.75,
        )
        _mark_trainings(lower, result, len(report.policies) - number, color)
    if report.no_change is not None:
        upper.axhline(report.no_change, color=FAINT, linewidth=1, linestyle="--", label="repeat the last label")
    upper.set_ylabel(report.metric, fontsize=9)
    upper.legend(frameon=False, fontsize=8, ncols=2)
    lower.set_yticks(range(len(report.policies), 0, -1), [result.policy for result in report.policies], fontsize=8)
    lower.set_ylim(0.3, len(report.policies) + 0.7)
    lower.set_ylabel("trainings", fontsize=9)
    figure.autofmt_xdate()
    return png_of(figure)


def smoothed(by_step: tuple[float | None, ...]) -> list[float]:
    """Average each step with its neighbours; steps without a value are left out."""
    values = np.array([np.nan if value is None else value for value in by_step])
    half = len(values) // SMOOTHED_OVER // 2
    found = []
    for place in range(len(values)):
        around = values[max(0, place - half) : place + half + 1]
        known = around[np.isfinite(around)]
        found.append(float(known.mean()) if len(known) else float("nan"))
    return found


def _mark_trainings(axis: Any, result: PolicyResult, height: int, color: str) -> None:
    axis.axhline(height, color=FAINT, linewidth=0.5)
    for is_false, face in ((False, color), (True, "white")):
        at = [r.at for r in result.walk.retrainings if r.is_false_alarm is is_false]
        axis.plot(at, [height] * len(at), "o", color=color, markerfacecolor=face, markersize=4, linestyle="none")
