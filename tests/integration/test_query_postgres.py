"""A window is read from PostgreSQL by the names that Airflow and SQLAlchemy give it."""

import math
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from understudy.stages.context import Refused
from understudy.stages.errors import DatabaseUnreachable
from understudy.stages.read.read_query import read_query

MIDNIGHT = datetime(2026, 3, 1, tzinfo=timezone.utc)
QUERY = "SELECT at, price, region FROM prices WHERE at >= {start} AND at < {end} ORDER BY at"


@pytest.fixture(scope="module")
def prices(postgres: str) -> str:
    engine = create_engine(postgres, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE prices (at timestamptz, price numeric(8, 2), region text)"))
        rows = [
            {"at": MIDNIGHT + timedelta(hours=h), "price": h / 2, "region": None if h == 3 else "north"}
            for h in range(48)
        ]
        connection.execute(text("INSERT INTO prices VALUES (:at, :price, :region)"), rows)
    return postgres


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_window_is_bound_and_types_arrive(prices: str, scheme: str) -> None:
    url = prices.replace("postgresql+psycopg", scheme, 1)
    table = read_query(url, QUERY, MIDNIGHT, MIDNIGHT + timedelta(hours=24))
    assert table.height == 24
    assert table["price"].to_list()[:3] == [0.0, 0.5, 1.0]
    assert table["region"].null_count() == 1
    assert table["at"][23] == MIDNIGHT + timedelta(hours=23)


def test_a_number_that_is_none_is_read_as_the_float_of_that_name(prices: str) -> None:
    query = "SELECT load FROM (VALUES (0.5), ('NaN'::numeric), (NULL), ('-Infinity'::numeric)) AS loads (load)"
    load = read_query(prices, query, None, None)["load"]
    assert (load[0], load[2], load[3]) == (0.5, None, -math.inf)
    assert math.isnan(load[1])


def test_a_wrong_statement_is_refused_and_an_unreachable_server_may_come_back(prices: str) -> None:
    with pytest.raises(Refused, match="rejects it"):
        read_query(prices, "SELECT nothing FROM prices", None, None)
    with pytest.raises(DatabaseUnreachable, match="connection"):
        read_query("postgresql://ann@127.0.0.1:1/none?connect_timeout=2", QUERY, None, None)
