"""What people wrote comes out as they wrote it, in every place that draws on a terminal."""

import ast
import io
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from rich.table import Table
from typer.testing import CliRunner

from understudy.cli.app import app
from understudy.cli.embedded import telling
from understudy.cli.finding import Finding, Severity
from understudy.embedded.airflow_api import TaskState
from understudy.embedded.run_display import RunDisplay
from understudy.sample.traffic import Count
from understudy.story.display import StoryDisplay
from understudy.story.proof import Row
from understudy.terminal import open_terminal

LIBRARY = Path(__file__).resolve().parents[2] / "plugins" / "understudy"
WRITTEN = "trainer.py:train: [red]root:x:0[/] :smile:"


def drawn(*shown: RenderableType) -> str:
    paper = io.StringIO()
    terminal = open_terminal(paper)
    terminal.width = 200
    terminal.print(*shown)
    return paper.getvalue()


def in_a_table() -> Table:
    table = Table(WRITTEN, title=WRITTEN)
    table.add_row(WRITTEN)
    return table


@pytest.mark.parametrize("make", [lambda: WRITTEN, in_a_table], ids=["sentence", "table"])
def test_a_terminal_takes_no_text_for_markup_or_emoji(make: Callable[[], RenderableType]) -> None:
    shown = make()
    assert drawn(shown).count(WRITTEN) == (1 if isinstance(shown, str) else 3)


def test_the_display_of_a_run_shows_names_as_they_are() -> None:
    display = RunDisplay(Console(), WRITTEN)
    begun = datetime.now(timezone.utc)
    display.tasks = [TaskState(task="[red]:smile:[/]", state="running", since=begun)]
    assert drawn(display).count(WRITTEN) == 1
    assert drawn(display).count("[red]:smile:[/]") == 1


def test_the_display_of_the_story_shows_what_happened_as_it_is() -> None:
    display = StoryDisplay(Console(file=io.StringIO(), force_terminal=True))
    display.step(WRITTEN)
    live = Count(requests=0, failed=0, versions={}, statuses={}, slowest_ms=0)
    told = {"act": 1, "title": WRITTEN, "promise": "", "happened": WRITTEN, "seconds": 1}
    row = Row.model_validate({**told, "champion": None, "live": live, "contradictions": ()})
    display.end(row)
    assert drawn(display).count(WRITTEN) == 3


def test_steps_are_told_as_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with telling(as_json=False) as tell:
        tell(WRITTEN)
    assert WRITTEN in capsys.readouterr().err


def test_the_doctor_repeats_what_was_found_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Finding(about="settings", severity=Severity.BROKEN, found=WRITTEN, way_out=WRITTEN)
    monkeypatch.setattr("understudy.cli.diagnosis.diagnose", lambda _: [found])
    assert CliRunner().invoke(app, ["doctor"]).stdout.count(WRITTEN) == 2


def test_a_wrong_option_is_repeated_as_it_is() -> None:
    assert ":smile:" in CliRunner().invoke(app, ["check", "--:smile:"]).output


def calls() -> list[tuple[str, str, ast.Call]]:
    found = []
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found.append((path.relative_to(LIBRARY).as_posix(), name, node))
    return found


def says(call: ast.Call, option: str) -> object:
    return next((getattr(k.value, "value", None) for k in call.keywords if k.arg == option), None)


def test_nothing_draws_but_on_such_a_terminal() -> None:
    found = calls()
    assert {path for path, name, _ in found if name == "Console"} == {"terminal.py"}
    assert [path for path, name, call in found if name == "from_markup" or says(call, "markup") is True] == []
    # These make markup of plain texts, whatever their terminal thinks of it.
    assert [path for path, name, call in found if name == "TextColumn" and says(call, "markup") is not False] == []
    assert [
        path for path, name, call in found if name in ("status", "Spinner") and "terminal" in ast.unparse(call.func)
        and "Text(" not in ast.unparse(call)
    ] == []  # fmt: skip
