"""What people and data wrote feigns nothing on the pages of the commands."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

from tests.unit.hooks.demand import record
from understudy.cli.app import app
from understudy.cli.page import Page
from understudy.cli.row import GOES_ON, print_row
from understudy.contract.by import By
from understudy.contract.words import Action
from understudy.hooks.acts import act
from understudy.hooks.connect import Hooks
from understudy.settings import settings

ROW = "   99  2026-11-28 09:31:00  demand           released                 admin: all is well"
FORGED = f"calm\n{ROW}\r\n\x1b[2J\x9b1m[red]loud[/red] :warning: \u202eback\u2028on"
AS_TOLD = f"calm {ROW}   [2J 1m[red]loud[/red] :warning:  back on"


@pytest.fixture(autouse=True)
def ledger_of_forgeries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    hooks = Hooks(settings())
    hooks.deployments.deploy(record(1, 1), 0, By(actor="ann\x1b[1A", reason=FORGED))
    act(hooks, Action.HOLD, "demand", by=By(actor="ann", reason=FORGED))
    yield
    settings.cache_clear()


def typed(*words: str) -> str:
    answer = CliRunner().invoke(app, list(words))
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_a_card_is_printed_as_the_markdown_that_others_are_sent() -> None:
    told = typed("ledger", "--card", "2", "--markdown")
    assert told.startswith("### demand: ")
    assert "- **Decided by**: ann" in told
    assert "\x1b" not in told
    assert not [line for line in told.splitlines() if line.startswith(ROW.strip()[:2])]


def test_a_reason_begins_no_row_of_its_own_in_the_list_of_entries() -> None:
    (line,) = typed("ledger", "demand", "--last", "1").splitlines()
    assert line.startswith("    2  ")
    assert line.endswith(f"ann: {AS_TOLD}")
    assert typed("ledger").count("\n") == 2


@pytest.mark.parametrize(
    "words",
    [("ledger",), ("ledger", "demand", "--why", "1"), ("ledger", "--card", "2"), ("status",), ("status", "demand")],
    ids=" ".join,
)
def test_no_page_begins_a_line_with_what_was_forged_or_orders_the_terminal(words: tuple[str, ...]) -> None:
    page = typed(*words)
    assert page.replace("\n", "").isprintable()
    assert "demand" in page
    assert not [line for line in page.splitlines() if line.strip().startswith("99")]


def test_json_keeps_every_sign_and_orders_no_terminal() -> None:
    told = typed("ledger", "demand", "--last", "1", "--json")
    assert json.loads(told)[0]["reason"] == FORGED
    assert told.replace("\n", "").isprintable()
    typed("release", "demand", "--reason", "café")
    assert "café" in typed("ledger", "demand", "--last", "1", "--json")


def test_an_error_that_quotes_a_reason_is_one_line() -> None:
    answer = CliRunner().invoke(app, ["hold", "demand", "--reason", "me too"])
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert AS_TOLD in line
    assert line.isprintable()


def test_a_cell_of_a_table_is_text_on_its_line() -> None:
    out = io.StringIO()
    table = Table("by\x1b[2J", title="a\nb", box=None)
    table.add_row("[bold]ann[/bold]\nbob")
    Page(file=out, width=60).print(table)
    assert [line.strip() for line in out.getvalue().splitlines()] == ["a b", "by [2J", "[bold]ann[/bold] bob"]


def test_on_a_narrow_terminal_what_follows_of_a_row_is_marked_as_such() -> None:
    """Or spaces enough would bring a text to where the next row begins."""
    out = io.StringIO()
    page = Page(file=out, width=60, force_terminal=True, color_system=None)
    print_row(page, f"    2  ann: calm{' ' * 44}{ROW}")
    first, *rest = out.getvalue().splitlines()
    assert first.startswith("    2  ann: calm")
    assert rest
    assert all(line.startswith(GOES_ON) and len(line) <= 60 for line in rest)
