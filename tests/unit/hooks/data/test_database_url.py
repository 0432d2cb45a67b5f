"""Airflow connections as SQLAlchemy understands them."""

import json

import pytest
from airflow.sdk import Connection
from sqlalchemy import create_engine, make_url, text

from understudy.hooks.data.database_url import database_url


def url(uri: str) -> str:
    return database_url(Connection.from_uri(uri, conn_id="market")).get_secret_value()


@pytest.mark.parametrize("given", ["uri", "form"])
def test_a_file_is_opened_under_its_own_name(tmp_path_factory: pytest.TempPathFactory, given: str) -> None:
    file = tmp_path_factory.mktemp("a folder") / "märket.db"
    by_form = Connection(conn_id="market", conn_type="sqlite", host=str(file))
    address = url(f"sqlite:///{file}") if given == "uri" else database_url(by_form).get_secret_value()
    engine = create_engine(address)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
    assert file.is_file()


def test_a_password_of_any_characters_arrives_whole() -> None:
    found = make_url(url("postgres://ann:p%40%2F%3A%25s@db:5432/market%20data?sslmode=require"))
    assert (found.drivername, found.username, found.password) == ("postgresql+psycopg", "ann", "p@/:%s")
    assert (found.host, found.port, found.database, dict(found.query)) == (
        "db",
        5432,
        "market data",
        {"sslmode": "require"},
    )


def test_what_only_airflow_understands_stays_behind() -> None:
    extra = json.dumps({"sqlalchemy_scheme": "postgresql+pg8000", "connect_timeout": 5, "iam": True, "aws": {"a": 1}})
    found = make_url(
        database_url(Connection(conn_id="c", conn_type="postgres", host="db", extra=extra)).get_secret_value()
    )
    assert (found.drivername, dict(found.query)) == ("postgresql+pg8000", {"connect_timeout": "5"})


def test_the_address_does_not_show_itself() -> None:
    assert "open sesame" not in repr(
        database_url(Connection(conn_id="c", conn_type="mysql", host="db", password="open sesame"))
    )
