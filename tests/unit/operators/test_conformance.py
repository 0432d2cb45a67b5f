"""One conformance suite for all operators."""

import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from understudy import operators
from understudy.operators.conformance import check_operator
from understudy.operators.stage.stage import StageOperator

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = "include.examples.custom_operator.balance:BalanceCheckOperator"
SHIPPED = (
    EXAMPLE,
    *(f"understudy.operators:{name}" for name in operators.__all__),
    "understudy.operators.tidy.tidy:TidyOperator",
    "understudy.operators.broken_spec:BrokenSpecOperator",
)


@pytest.mark.parametrize("reference", SHIPPED)
def test_shipped_operators_conform(reference: str) -> None:
    assert check_operator(reference) == []


def test_the_example_has_thirty_lines_at_most() -> None:
    source = (ROOT / "include/examples/custom_operator/balance.py").read_text(encoding="utf-8")
    assert len(source[source.index("\nclass ") + 1 :].splitlines()) <= 30


class ByPosition(BaseOperator):
    """Take an argument by position.

    :param table: a table.
    """

    def __init__(self, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table


class Untemplated(BaseOperator):
    """Template what is no argument."""

    template_fields = ("sql",)
    sql = ""


class Telling(BaseOperator):
    """Take a secret.

    :param api_token: a token.
    """

    def __init__(self, *, api_token: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.api_token = api_token


class Undocumented(BaseOperator):
    def __init__(self, *, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table


class HalfDocumented(BaseOperator):
    """Document another argument.

    :param tabel: a table.
    """

    def __init__(self, *, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table


class Converting(BaseOperator):
    """Change what it is given.

    :param table: a table.
    """

    def __init__(self, *, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table.upper()


class Curious(BaseOperator):
    """Read a file at every parse."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        Path("/etc/hostname").open().close()


class Connecting(BaseOperator):
    """Connect at every parse."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with socket.socket() as line:
            line.connect_ex(("127.0.0.1", 9))


class Unserialisable(BaseOperator):
    """Hold what JSON cannot."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(params={"handle": object()}, **kwargs)


class Forgetful(BaseOperator):
    """Remember on itself, and ask the clock."""

    def execute(self, context: Any) -> Any:
        self.started = datetime.now()  # noqa: DTZ005 - the fault under test
        return self.started.isoformat()


class Replacing(StageOperator):
    """Replace what makes a stage resumable."""

    def execute(self, context: Any) -> Any:
        return None


@pytest.mark.parametrize(
    ("operator", "check", "words"),
    [
        (ByPosition, "keyword_only", "'table'"),
        (Untemplated, "template_fields", "'sql'"),
        (Telling, "no_secrets", "'api_token'"),
        (Undocumented, "documented", "no docstring"),
        (HalfDocumented, "documented", "'table'"),
        (HalfDocumented, "documented", "'tabel'"),
        (Converting, "constructor", "'table'"),
        (Curious, "no_io", "/etc/hostname"),
        (Connecting, "no_io", "socket.connect"),
        (Unserialisable, "serialises", "cannot be serialised"),
        (Forgetful, "repeatable", "assigns self.started"),
        (Forgetful, "repeatable", "asks the clock (datetime.now)"),
        (Replacing, "repeatable", "execute is replaced"),
    ],
)
def test_each_fault_is_named(operator: type[BaseOperator], check: str, words: str) -> None:
    sys.modules.setdefault(__name__, sys.modules[operator.__module__])
    found = check_operator(f"{operator.__module__}:{operator.__name__}")
    assert [c for c in found if c.check == check and words in c.problem], found
    assert all(complaint.way_out for complaint in found)


@pytest.mark.parametrize(
    ("reference", "check"),
    [("no.such.module:X", "exists"), ("pathlib:Path", "is_operator"), ("json:nope", "exists")],
)
def test_what_is_no_operator_is_said(reference: str, check: str) -> None:
    assert [complaint.check for complaint in check_operator(reference)] == [check]


def test_a_class_that_its_module_does_not_have_is_no_other_kind_of_fault() -> None:
    [complaint] = check_operator("understudy.operators:SnapshotDataOperater")
    assert complaint.check == "exists"
    assert complaint.problem == (
        "understudy.operators has no class 'SnapshotDataOperater'; did you mean 'SnapshotDataOperator'"
    )
