"""The password of the embedded Airflow is told once, when it is made, to people and to programs alike."""

import io
import json

import pytest

from tests.unit.embedded.conftest import start
from understudy.cli.answer import answer
from understudy.cli.embedded import _running_page
from understudy.cli.page import Page
from understudy.embedded import stack
from understudy.embedded.layout import Layout


def page(found: stack.Running) -> str:
    paper = io.StringIO()
    _running_page(Page(file=paper), found)
    return paper.getvalue()


def test_a_password_is_told_when_it_is_made_and_never_again(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    first = start(layout, [])
    made = first.password.get_secret_value()
    again = start(layout, [])
    assert (first.is_new_password, again.was_running, again.password.get_secret_value()) == (True, True, made)
    for found, told in ((first, made), (again, None)):
        capsys.readouterr()
        answer(True, found, lambda _: None)
        facts = json.loads(capsys.readouterr().out)
        assert (facts["password"], facts["password_file"]) == (told, str(layout.passwords))
        assert f"(user admin, password {told or f'in {layout.passwords}'})" in page(found)
        assert made not in repr(found)
