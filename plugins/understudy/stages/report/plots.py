"""The report's pictures, as PNG text that fits into the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from understudy.contract.reports import Comparison
from understudy.contract.words import MlTask
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.contest import Contest
from understudy.stages.measure.metrics import measure

OURS, THEIRS, FAINT = "#0b6e4f", "#b3541e", "#9aa5b1"
MAX_POINTS = 2_000
MAX_SHOWN_CLASSES = 20


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """Give a figure, which no window shows, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    return figure, axes


def png_of(figure: Any) -> bytes:
    """Draw a figure; the same answers give the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def as_text(png: bytes) -> str:
    """Write a picture as text that fits into a page."""
    return base64.b64encode(png).decode()


def as_png(figure: Any) -> str:
    """Draw a figure as text that fits into a page."""
    return as_text(png_of(figure))


def plot_gains(comparisons: tuple[Comparison, ...]) -> str | None:
    """Draw each metric's gain with its interval, as a share of the champion's value."""
    shown = [
        (c.metric, c.gain / abs(c.other), c.gain_low / abs(c.other), c.gain_high / abs(c.other))
        for c in comparisons
        if c.other and c.gain is not None and c.gain_low is not None and c.gain_high is not None
    ]
    if not shown:
        return None
    figure, (axis,) = new_figure(7.6, 0.9 + 0.34 * len(shown))
    for place, (_, gain, low, high) in enumerate(reversed(shown)):
        color = OURS if low > 0 else THEIRS if high < 0 else "#52606d"
        axis.plot([100 * low, 100 * high], [place, place], color=color, linewidth=2.2, solid_capstyle="round")
        axis.plot([100 * gain], [place], "o", color=color, markersize=6)
    axis.axvline(0, color=FAINT, linewidth=1)
    axis.set_yticks(range(len(shown)), [name for name, *_ in reversed(shown)])
    axis.set_xlabel("gain over the champion, % of its value (right is better)", fontsize=9)
    return as_png(figure)


def plot_over_time(contest: Contest) -> str | None:
    """Draw the primary metric of both models, block by block."""
    if contest.holdout.times is None or contest.blocks.count < 2:
        return None
    ids, times = contest.blocks.ids, contest.holdout.times.to_numpy(dtype="datetime64[us]")
    starts = [times[np.argmax(ids == block)] for block in range(contest.blocks.count)]
    figure, (axis,) = new_figure(7.6, 3.0)
    for name, answers, color in (("challenger", contest.challenger, OURS), ("champion", contest.champion, THEIRS)):
        if answers is None:
            continue
        values = [measure(contest.spec.primary, answers.take(ids == block)) for block in range(contest.blocks.count)]
        axis.plot(
            starts,
            [np.nan if v is None else v for v in values],
            color=color,
            label=name,
            linewidth=1.6,
            marker=".",
            markersize=4,
        )
    axis.set_ylabel(contest.spec.primary, fontsize=9)
    axis.legend(frameon=False, fontsize=9)
    figure.autofmt_xdate()
    return as_png(figure)


def plot_answers(contest: Contest) -> str | None:
    """Draw how good the answers are: ranking and calibration, confusion, or error, by task."""
    if contest.spec.task is MlTask.REGRESSION:
        return _plot_numbers(contest)
    if contest.spec.task is MlTask.BINARY:
        return _plot_probabilities(contest)
    return _plot_confusion(contest.challenger)


def _both(contest: Contest) -> list[tuple[str, Answers, str]]:
    both = [("challenger", contest.challenger, OURS)]
    return both + ([("champion", contest.champion, THEIRS)] if contest.champion is not None else [])


def _plot_probabilities(contest: Contest) -> str | None:
    if contest.challenger.positive_score is None or len(np.unique(contest.challenger.actual)) < 2:
        return None
    figure, (ranking, calibration) = new_figure(7.6, 3.6, columns=2)
    for name, answers, color in _both(contest):
        scores = answers.positive_score
        if scores is None:
            continue
        truth = (answers.actual == 1)[np.argsort(-scores, kind="stable")]
        hits, misses = np.cumsum(truth) / truth.sum(), np.cumsum(~truth) / (~truth).sum()
        thin = np.unique(np.linspace(0, len(truth) - 1, MAX_POINTS).astype(int))
        ranking.plot(misses[thin], hits[thin], color=color, label=name, linewidth=1.6)
        parts = np.array_split(np.argsort(scores, kind="stable"), min(10, len(scores)))
        calibration.plot(
            [scores[p].mean() for p in parts],
            [(answers.actual[p] == 1).mean() for p in parts],
            "o-",
            color=color,
            label=name,
            markersize=4,
            linewidth=1.2,
        )
    for axis, across, up in (
        (ranking, "share of the others flagged", "share of positives found"),
        (calibration, "predicted probability", "what happened"),
    ):
        axis.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--")
        axis.set_xlabel(across, fontsize=9)
        axis.set_ylabel(up, fontsize=9)
    ranking.legend(frameon=False, fontsize=9, loc="lower right")
    return as_png(figure)


def _plot_numbers(contest: Contest) -> str:
    figure, (scatter, errors) = new_figure(7.6, 3.6, columns=2)
    for name, answers, color in reversed(_both(contest)):
        thin = np.unique(np.linspace(0, len(answers) - 1, MAX_POINTS).astype(int))
        scatter.plot(answers.actual[thin], answers.predicted[thin], ".", color=color, markersize=2.5, alpha=0.45)
        residuals = answers.predicted - answers.actual
        low, high = np.quantile(residuals, [0.005, 0.995])
        errors.hist(np.clip(residuals, low, high), bins=60, histtype="step", color=color, label=name, linewidth=1.4)
    ends = [float(contest.challenger.actual.min()), float(contest.challenger.actual.max())]
    scatter.plot(ends, ends, color=FAINT, linewidth=1, linestyle="--")
    scatter.set_xlabel("what happened", fontsize=9)
    scatter.set_ylabel("predicted", fontsize=9)
    errors.set_xlabel("error (predicted minus what happened)", fontsize=9)
    errors.legend(frameon=False, fontsize=9)
    return as_png(figure)


def _plot_confusion(answers: Answers) -> str | None:
    k = len(answers.classes)
    if k > MAX_SHOWN_CLASSES:
        return None
    counts = np.zeros((k, k + 1))
    np.add.at(counts, (answers.actual, answers.predicted), 1)
    shares = counts[:, :k] / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, (axis,) = new_figure(1.8 + 0.5 * k, 1.2 + 0.5 * k)
    axis.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    for row in range(k):
        for column in range(k):
            axis.text(
                column,
                row,
                f"{shares[row, column]:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > 0.6 else "#1f2933",
            )
    # Class names are data: without this, a name such as "$x" would be read as a formula.
    names = [name[:18].replace("$", r"\$") for name in answers.classes]
    axis.set_xticks(range(k), names, rotation=45, ha="right")
    axis.set_yticks(range(k), names)
    axis.set_xlabel("answered", fontsize=9)
    axis.set_ylabel("what happened", fontsize=9)
    return as_png(figure)
