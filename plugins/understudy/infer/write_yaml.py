"""Write a declaration as YAML that explains itself."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from understudy.contract.metrics import DEFAULT_PRIMARY
from understudy.contract.words import MlTask
from understudy.infer.baseline import BOOSTING, Baseline, linear_name
from understudy.infer.columns import Roles

PLAIN = re.compile(r"^[A-Za-z_/][A-Za-z0-9_./-]*$")
TAKEN = re.compile(r"^(y|n|yes|no|on|off|true|false|null|nan|none|~)$", re.IGNORECASE)
COMMENT_WIDTH = 110


@dataclass(frozen=True)
class Draft:
    """Hold everything that the file will say."""

    model: str
    task: MlTask
    data: dict[str, Any]
    checks: dict[str, Any]
    slices: list[str]
    roles: Roles
    baseline: Baseline | None
    notes: tuple[str, ...]
    rows: int
    source_name: str


def write_yaml(draft: Draft) -> str:
    """Write the whole file: what was noticed first, then each section with what it is for."""
    return (
        "\n".join(
            [
                *_head(draft),
                *_data(draft),
                *_split(draft),
                *_train(draft),
                *_gates(draft),
                *_evaluate(draft),
                *_checks(draft),
                *_retrain(),
                *_monitor(draft),
            ]
        )
        + "\n"
    )


def _head(draft: Draft) -> Iterator[str]:
    yield from _comment(
        f"Written by `understudy init` from {draft.source_name} ({draft.rows:,} rows). Everything here is a "
        "proposal: read it, "
        "change it, keep it under version control."
    )
    yield "#"
    yield "# What was noticed:"
    for note in draft.notes or ("nothing unusual",):
        yield from _comment(note, first="# - ", next_="#   ")
    yield ""
    yield f"model: {draft.model}"
    yield "owner: data-team  # the team to call; put your own here"
    yield f"task: {draft.task}"
    yield ""


def _data(draft: Draft) -> Iterator[str]:
    yield "data:"
    explained = {
        "source": "a file, a glob such as data/sales-*.csv, or a URL; relative paths start at the project",
        "target": "the column to predict",
        "time": "dates each row, so that models are always tested on the future",
        "delimiter": "what separates the fields",
        "encoding": "the text is not UTF-8",
        "decimal": "what separates the decimals of numbers",
        "thousands": "what separates the thousands of numbers",
        "nulls": "texts that mean missing",
    }
    for key, value in draft.data.items():
        if key == "drop":
            yield "  drop:  # never used as features"
            yield from (f"    - {_word(column)}  # {_one_line(draft.roles.why[column])}" for column in value)
        elif key == "classes":
            yield "  classes:"
            for kind, columns in value.items():
                yield f"    {kind}: {_inline(columns)}  # {_one_line(draft.roles.why[columns[0]])}"
        else:
            yield f"  {key}: {_inline(value)}" + (f"  # {explained[key]}" if key in explained else "")
    if "time" in draft.data:
        yield "  # window: 90d       # read only the newest part; everything when absent"
        yield "  # label_delay: 1d   # how long after a row its label is final; younger rows are left out"
    yield ""


def _split(draft: Draft) -> Iterator[str]:
    yield "split:"
    if "time" in draft.data:
        yield "  holdout: 20%     # the newest rows, which no training sees; the gates are decided on them"
        yield "  validation: 20%  # the newest part of the rest, on which trials are compared"
        yield "  # embargo: 1d    # a gap before the holdout, where labels look ahead"
    else:
        yield (
            "  method: random   # no column dates the rows; with one, delete this line: testing on the "
            "future is the honest way"
        )
        yield "  holdout: 20%"
        yield "  validation: 20%"
    yield ""


def _train(draft: Draft) -> Iterator[str]:
    yield "train:"
    if draft.baseline is not None and draft.baseline.is_simple_enough:
        yield f"  estimator: {linear_name(draft.task)}  # as good as hist_gradient_boosting here, and simpler"
        yield "  search:  # 4 trials at once; delete it to train with the defaults"
        if draft.task.is_classification:
            yield "    C: {low: 0.01, high: 10.0, log: true}"
        else:
            yield "    alpha: {low: 0.01, high: 100.0, log: true}"
        yield "  budget: 4"
    else:
        yield f"  estimator: {BOOSTING}  # reads missing values and categories as they are"
        yield "  search:  # 8 trials, 4 at a time; delete it to train with the defaults"
        yield "    learning_rate: {low: 0.02, high: 0.3, log: true}"
        yield "    max_leaf_nodes: {low: 8, high: 64}"
        yield "  budget: 8"
    yield "  parallelism: 4"
    yield "  seed: 0"
    yield ""


def _gates(draft: Draft) -> Iterator[str]:
    baseline = draft.baseline
    yield from _comment(
        "A challenger must pass every gate. Against the champion it must not be provably worse on the same "
        "future rows (newer data "
        "at equal quality is a reason to refresh); add min_gain to ask for a provable gain instead."
    )
    yield "gates:"
    yield f"  - metric: {DEFAULT_PRIMARY[draft.task]}"
    if baseline is not None and baseline.learns:
        bound = "ceiling" if baseline.metric == "mae" else "floor"
        yield (
            f"    {bound}: {baseline.bound:g}  # halfway between ignoring the features "
            f"({baseline.dummy:.3g}) and a small model ({baseline.small:.3g})"
        )
    else:
        bound = "ceiling" if DEFAULT_PRIMARY[draft.task] == "mae" else "floor"
        why = "could not be measured" if baseline is None else "it is not certain that the features help"
        yield f"    # {bound}: ?  # {why}; set it after the first run"
    yield "  - {metric: latency_p95_ms, ceiling: 250}  # milliseconds to answer for one row"
    if draft.task.is_classification and draft.roles.sensitive:
        yield (
            "  # - {metric: parity_gap, ceiling: 0.2}  # largest difference of selection rate between "
            "the groups of evaluate.fairness"
        )
    yield ""


def _evaluate(draft: Draft) -> Iterator[str]:
    fairness = draft.roles.sensitive if draft.task.is_classification else []
    if not draft.slices and not fairness:
        return
    yield "evaluate:"
    if draft.slices:
        yield f"  slices: {_inline(draft.slices)}  # no value of these may become worse"
    if fairness:
        yield f"  fairness: {_inline(fairness)}  # groups whose selection rates are compared"
    yield ""


def _checks(draft: Draft) -> Iterator[str]:
    yield from _comment(
        "When a window may be trained on. Ranges are the 0.1 % to 99.9 % quantiles, widened; rows outside "
        "are set aside, and a window with "
        "more than 1 % of such rows is refused."
    )
    yield "checks:"
    for key, value in draft.checks.items():
        if key in {"columns", "label_shares"} and not value:
            continue
        if key == "columns":
            yield "  columns:"
            yield from (f"    {_word(column)}: {_inline(asked)}" for column, asked in value.items())
        elif key == "label_shares":
            yield "  label_shares:  # half the smallest to one and a half times the largest share of ten blocks of rows"
            yield from (f"    {_word(label)}: {_inline(share)}" for label, share in value.items())
        else:
            yield f"  {key}: {_inline(value)}"
    if "time" in draft.data:
        yield "  # max_age: 2d  # refuse a window whose newest row is older than this"
    yield ""


def _retrain() -> Iterator[str]:
    yield "# Runs are started by hand until there is a schedule."
    yield "# retrain:"
    yield '#   schedule: "0 3 * * 1"  # Mondays at 03:00 UTC'


def _monitor(draft: Draft) -> Iterator[str]:
    if "time" not in draft.data:
        return
    yield ""
    yield from _comment(
        "monitor__" + draft.model + " looks at the new rows of the source and says when a retraining is due: by drift, "
        "by lost quality where labels have come, and by age where retrain.max_age is set."
    )
    yield "monitor:"
    yield '  schedule: "17 5 * * *"  # daily at 05:17 UTC'
    yield "  window: 7d              # how far back a look goes"


def _comment(text: str, first: str = "# ", next_: str = "# ") -> list[str]:
    return textwrap.wrap(
        _one_line(text), COMMENT_WIDTH, initial_indent=first, subsequent_indent=next_, break_long_words=False
    )


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_word(str(key))}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # YAML 1.1 reads 1e6 as text: it wants the point.
        return (
            str(int(value))
            if value.is_integer() and abs(value) < 1e15
            else json.dumps(value)
            if "e" not in repr(value)
            else f"{value:.6e}"
        )
    return str(value) if isinstance(value, int) else _word(str(value))


def _word(text: str) -> str:
    """Write a text plainly where YAML cannot mistake it, else quoted as in JSON."""
    return text if PLAIN.match(text) and not TAKEN.match(text) else json.dumps(text, ensure_ascii=True)
