"""As whom commands talk to Airflow: as who types them, and as nobody else."""

import io
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest
from pydantic import SecretStr

from understudy.cli.airflow_login import NoCredential, airflow
from understudy.embedded.stack import Running
from understudy.settings import Settings

URL = "http://airflow.example.com"
LOOK = """
import sys
from understudy.cli.airflow_login import airflow
from understudy.settings import Settings
for _ in range(2):
    found = airflow(Settings())._airflow
    print(found._user, found._password, found._token)
"""


def terminal(answers: dict[str, str], **settings: str) -> tuple[str, str]:
    """Run a command at a terminal, answer what it asks there; return its own answer and what the terminal showed."""
    ours, theirs = pty.openpty()
    told = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__UNDERSTUDY__")}
    told |= {f"AIRFLOW__UNDERSTUDY__{name}": value for name, value in {"AIRFLOW_URL": URL, **settings}.items()}
    with subprocess.Popen(
        [sys.executable, "-c", LOOK],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
        env=told,
        start_new_session=True,  # without the terminal of whoever runs the tests, which passwords are read from
    ) as command:
        os.close(theirs)
        shown = ""
        with suppress(OSError):  # how the end of a terminal is told
            while read := os.read(ours, 1000).decode():
                shown += read
                # A password is asked for only after everything typed before has been thrown away.
                for question in [question for question in answers if question in shown]:
                    os.write(ours, f"{answers.pop(question)}\n".encode())
        answered = command.communicate()[0]
    os.close(ours)
    assert command.returncode == 0, shown
    assert answers == {}
    return answered, shown


def test_a_terminal_is_asked_once_and_its_answer_is_no_part_of_the_commands() -> None:
    answered, shown = terminal({f"Your account at {URL}: ": "ann", "Password of ann: ": "her secret"})
    assert answered == "ann her secret None\n" * 2
    assert f"Your account at {URL}" in shown
    assert "Password of ann" in shown


def test_a_terminal_is_asked_for_what_the_settings_lack() -> None:
    answered, shown = terminal({"Password of ann: ": "her secret"}, AIRFLOW_USER="ann")
    assert answered == "ann her secret None\n" * 2
    assert "Your account" not in shown


def test_what_the_settings_hold_is_not_asked_for() -> None:
    assert terminal({}, AIRFLOW_USER="ann", AIRFLOW_PASSWORD="p")[0] == "ann p None\n" * 2
    assert terminal({}, AIRFLOW_TOKEN="t")[0] == "  t\n" * 2


def test_without_a_terminal_nobody_is_taken_for_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("ann\n"))
    with pytest.raises(NoCredential, match=r"in somebody's name.*AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN.*to your own\."):
        airflow(Settings(airflow_url=URL, airflow_user="admin"))


EMBEDDED = Running(
    home="h",
    airflow="http://localhost:8080",
    mlflow="m",
    gateway="g",
    user="admin",
    password=SecretStr("p"),
    password_file="f",
)


@pytest.mark.parametrize(
    ("named", "whoever"),
    [
        ({}, ("admin", "p", None)),
        ({"airflow_user": "vera", "airflow_password": "hers"}, ("vera", "hers", None)),
        ({"airflow_token": "t"}, ("", "", "t")),
    ],
)
def test_at_the_embedded_airflow_a_person_who_is_named_is_not_taken_for_its_administrator(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], whoever: tuple[str, str, str | None]
) -> None:
    monkeypatch.setattr("understudy.embedded.stack.running", lambda _: EMBEDDED)
    found = airflow(Settings.model_validate({"airflow_url": "", **named}))._airflow
    assert (found._user, found._password, found._token) == whoever


def test_a_person_at_the_embedded_airflow_without_a_password_is_not_its_administrator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("understudy.embedded.stack.running", lambda _: EMBEDDED)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(NoCredential, match=r"localhost:8080"):
        airflow(Settings(airflow_url="", airflow_user="vera"))
