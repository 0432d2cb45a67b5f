"""``understudy metrics``: the numbers once, in a file that is whole or not there."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fleet_ledger import write_fleet
from tests.unit.scrape import samples_of, value
from understudy.cli.app import app
from understudy.exporter import measures as m
from understudy.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    write_fleet(tmp_path / "ledger.db", models=1, entries=12)
    yield tmp_path
    settings.cache_clear()


def ask(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["metrics", *arguments])
    return result.exit_code, result.output


def test_the_numbers_are_printed_once_with_the_ledger_verified(home: Path) -> None:
    code, said = ask("--once")
    assert code == 0
    found = samples_of(said)
    assert (value(found, m.CHAIN_INTACT), value(found, m.CHAMPION, "model_0000", "2")) == (1, 1)


def test_the_file_is_replaced_and_nothing_else_is_left(home: Path) -> None:
    folder = home / "textfiles"
    folder.mkdir()
    for _ in range(2):
        assert ask("--once", "--to", str(folder / "understudy.prom")) == (0, "")
    assert [path.name for path in folder.iterdir()] == ["understudy.prom"]
    assert value(samples_of((folder / "understudy.prom").read_text(encoding="utf-8")), m.LEDGER_ENTRIES) == 12


@pytest.mark.parametrize(
    "arguments", [("--to", "x.prom"), ("--once", "--to", "nowhere/at/all.prom"), ("--verify-every", "soon")]
)
def test_what_cannot_be_done_is_said_in_a_sentence(home: Path, arguments: tuple[str, ...]) -> None:
    code, said = ask(*arguments)
    assert code != 0
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_said_in_a_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = ask("--port", str(taken.getsockname()[1]))
    assert code != 0
    assert "The exporter of metrics cannot start" in " ".join(said.split())
