"""``understudy doctor``: what is missing here, and how to fix each."""

from typing import TYPE_CHECKING

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment
from understudy.cli.errors import BROKEN

if TYPE_CHECKING:
    from rich.console import Console


def doctor(as_json: AsJson = False) -> None:
    """Say what works here, what does not, and how to fix it."""
    from understudy.cli.diagnosis import diagnose
    from understudy.cli.finding import Severity

    findings = diagnose(deployment())
    marks = {Severity.FINE: ("ok  ", "green"), Severity.NOTE: ("note", "yellow"), Severity.BROKEN: ("FIX ", "red")}

    def page(console: "Console") -> None:
        for finding in findings:
            mark, colour = marks[finding.severity]
            console.print(mark, style=colour, end=" ")
            console.print(f"{finding.about:<10} {finding.found}")
            if finding.way_out:
                console.print(f"                {finding.way_out}")

    answer(as_json, findings, page)
    if any(finding.severity is Severity.BROKEN for finding in findings):
        raise typer.Exit(BROKEN)
