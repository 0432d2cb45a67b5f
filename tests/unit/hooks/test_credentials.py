"""What an Airflow connection says of a serving target, read outside of a task as the command line does."""

import json

import pytest

from understudy.hooks.credentials import ConnectionUnknown, credentials_of


def test_a_connection_gives_address_and_secret_and_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"password": "s3cret-word", "extra": {"token": "t0ken-word"}}
    told = {"conn_type": "http", "host": "kserve", "port": 443, **secrets}
    monkeypatch.setenv("AIRFLOW_CONN_KSERVE", json.dumps(told))
    found = credentials_of("kserve")
    assert (found.host, found.port, found.login, found.extra["token"]) == ("kserve", 443, None, "t0ken-word")
    assert found.password is not None
    assert found.password.get_secret_value() == "s3cret-word"
    assert not any(secret in repr(found) for secret in ("s3cret", "t0ken"))


def test_one_that_nobody_added_is_named_with_a_way_out() -> None:
    with pytest.raises(ConnectionUnknown, match=r"'nowhere' cannot be read .* AIRFLOW_CONN_NOWHERE"):
        credentials_of("nowhere")
