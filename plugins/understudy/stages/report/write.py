"""Write the evaluation as report.html and report.json."""

import json
from pathlib import Path
from typing import Any

from understudy.contract.declared import format_duration
from understudy.contract.metrics import METRICS
from understudy.contract.reports import Comparison, EvaluationReport
from understudy.stages.measure.contest import Contest
from understudy.stages.report.plots import plot_answers, plot_gains, plot_over_time

TEMPLATE = "page.html.jinja"


def write_report(folder: Path, report: EvaluationReport, contest: Contest) -> Path:
    """Write both files; the page holds everything it needs, and nothing but the latencies differs from run to run."""
    folder.mkdir(parents=True, exist_ok=True)
    body = report.model_dump(mode="json")
    (folder / "report.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    page = render(
        TEMPLATE,
        report=report,
        spec=contest.spec,
        metrics=METRICS,
        sure=1 - 2 * contest.spec.evaluate.alpha,
        block=contest.blocks.length,
        says=say_gain,
        gains=plot_gains(report.comparisons),
        over_time=plot_over_time(contest),
        answers=plot_answers(contest),
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder


def render(template: str, **facts: Any) -> str:
    """Render a page; what it is given is escaped, and a name that it does not know is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=show_number, share=show_share, duration=format_duration)
    return environment.get_template(template).render(**facts)


def show_number(value: Any) -> str:
    """Write a number with four digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def show_share(value: float | None) -> str:
    """Write a share as a percentage; a dash where there is none."""
    return "–" if value is None else f"{value:.1%}"


def say_gain(comparison: Comparison) -> str:
    """Say in words what the interval of a gain allows to say."""
    if comparison.other is None:
        return "nothing to compare with"
    if comparison.gain_low is None or comparison.gain_high is None:
        return "too little evidence"
    if comparison.gain_low > 0:
        return "better"
    if comparison.gain_high < 0:
        return "worse"
    return "same" if comparison.gain_low == comparison.gain_high == 0 else "could be either"
