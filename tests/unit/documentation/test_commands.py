"""Each command that a page names can be typed as it stands there."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.unit.documentation.pages import IDS, PAGES, blocks, spoken
from understudy.cli.app import app
from understudy.cli.errors import UsageError
from understudy.settings import PROJECT

TYPED = re.compile(r"(?:^|[\s/'])understudy (?!=)(.*)", re.MULTILINE)
OF_THE_SHELL = (";", "|", "<", ">", "&")
GIVEN = {"VERSION": "7", "ENTRY": "7", "TIME": "2026-01-01", "[": "", "]": "", "…": "x"}
TARGETS = set(re.findall(r"^([a-z0-9]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def words(line: str) -> list[str]:
    """Give the words of a command, with something in the place of what the reader fills in."""
    for place, value in GIVEN.items():
        line = line.replace(place, value)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="".join(OF_THE_SHELL))
    lexer.whitespace_split = True
    return list(takewhile(lambda word: not word.startswith(OF_THE_SHELL), lexer))


def parse(line: str) -> None:
    """Let the command line parse a line; it raises a usage error for what it does not take."""
    left = words(line)
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and left:
        assert left[0] in command.commands, line
        command = command.commands[left.pop(0)]
        assert not command.hidden, f"{line}: `understudy --help` does not list it"
    if not hasattr(command, "commands"):
        command.make_context(command.name, left)


def in_blocks(page: Path) -> list[str]:
    code = "\n".join(blocks(page, "", "sh", "bash")).replace("\\\n", " ")
    return [line for line in TYPED.findall(code) if not line.startswith("…")]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_command_in_a_block_is_one_that_can_be_typed(page: Path) -> None:
    for line in in_blocks(page):
        parse(line)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_command_in_a_sentence_exists_with_these_options(page: Path) -> None:
    for code in spoken(page):
        if code.startswith("understudy ") and "…" not in code.split()[1]:
            try:
                parse(code.removeprefix("understudy "))
            except UsageError as mistyped:
                if type(mistyped).__name__ != "MissingParameter":  # a sentence may leave out what it is not about
                    raise


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_word_of_make_is_in_the_makefile(page: Path) -> None:
    typed = [line for block in blocks(page) for line in block.splitlines()] + spoken(page)
    named = {found[1] for line in typed if (found := re.match(r"make ([a-z0-9]+)", line))}
    assert named - TARGETS == set()


def ends(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """List what can be typed, groups apart."""
    if not hasattr(command, "commands"):
        yield name, command
    else:
        for word, part in command.commands.items():
            yield from () if part.hidden else ends(part, f"{name} {word}".strip())


def test_each_command_but_those_that_serve_answers_in_json() -> None:
    every = dict(ends(typer.main.get_command(app)))
    without = {name for name, command in every.items() if not any("--json" in param.opts for param in command.params)}
    assert without == {"gateway", "metrics"}, "the README says so"


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(in_blocks(page)) for page in PAGES) > 100
