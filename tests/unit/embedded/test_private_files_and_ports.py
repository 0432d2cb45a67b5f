import socket
import stat
from configparser import ConfigParser
from pathlib import Path

import pytest

from understudy.embedded import ports as ports_module
from understudy.embedded.environment import process_environment, write_config
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import admin_password, keys
from understudy.embedded.ports import NoFreePort, Ports, choose


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    layout = Layout(home=tmp_path)
    password, is_new = admin_password(layout)
    assert is_new
    assert admin_password(layout) == (password, False)
    assert keys(layout) == keys(layout)
    write_config(layout, Ports())
    assert {mode(path) for path in (layout.passwords, layout.secrets, layout.config)} == {0o600}
    assert password not in layout.config.read_text(encoding="utf-8")


def test_no_secret_is_put_into_the_environment(tmp_path: Path) -> None:
    layout = Layout(home=tmp_path)
    secret = keys(layout)
    told = " ".join(process_environment(layout, {"PATH": "/bin"}).values())
    assert not any(value in told for value in secret.model_dump().values())


def test_components_share_one_configuration_that_is_reachable_from_this_machine_only(tmp_path: Path) -> None:
    layout = Layout(home=tmp_path / "100%")
    write_config(layout, Ports(airflow=8123))
    parser = ConfigParser()  # with interpolation, as Airflow reads it
    parser.read(layout.config)
    assert parser["api"]["host"] == "127.0.0.1"
    assert parser["core"]["execution_api_server_url"] == "http://127.0.0.1:8123/execution/"
    assert parser["database"]["sql_alchemy_conn"].endswith("100%/airflow/airflow.db?timeout=60")
    assert parser["core"]["load_examples"] == "False"


def test_what_the_user_set_of_airflow_stays_but_for_what_the_stack_stands_on(tmp_path: Path) -> None:
    base = {"PATH": "/bin", "AIRFLOW__CORE__PARALLELISM": "2", "AIRFLOW_CONFIG": "/etc/x.cfg", "no_proxy": "corp"}
    told = process_environment(Layout(home=tmp_path), base)
    assert told["AIRFLOW__CORE__PARALLELISM"] == "2"
    assert "AIRFLOW_CONFIG" not in told
    assert told["NO_PROXY"] == "127.0.0.1,localhost,corp"


def test_a_busy_port_is_replaced_by_the_next_free_one_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        chosen, remarks = choose(Ports(airflow=taken, mlflow=taken))
    assert taken < chosen.airflow < chosen.mlflow
    assert remarks[0] == f"port {taken} is busy, so Airflow uses {chosen.airflow}"


def test_no_free_port_at_all_is_an_error_that_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports_module, "is_free", lambda port: False)
    with pytest.raises(NoFreePort, match="between 8080 and 8129"):
        choose(Ports())
