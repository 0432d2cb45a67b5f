"""The address of a database, as the query's container needs it, from an Airflow connection."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from airflow.sdk import Connection

# Airflow's own short names; SQLAlchemy calls them otherwise.
DIALECTS = {"postgres": "postgresql+psycopg", "mssql": "mssql+pymssql"}
SCHEME = "sqlalchemy_scheme"


def database_url(connection: "Connection") -> SecretStr:
    """Spell a connection as a SQLAlchemy URL.

    ``Connection.get_uri`` is another language: it escapes the database's name, which SQLAlchemy takes as it is, and
    packs what is not text into ``__extra__``, which no driver knows. Here, extras that are text or numbers are handed
    to the driver; ``sqlalchemy_scheme`` names another driver, as in Airflow's own hooks.
    """
    from sqlalchemy import URL

    given = connection.extra_dejson
    extra = {
        name: str(value)
        for name, value in given.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }
    kind = str(connection.conn_type)
    scheme = extra.pop(SCHEME, DIALECTS.get(kind, kind))
    if scheme.partition("+")[0] == "sqlite":
        # A file has no host; Airflow's form keeps its path there, Airflow's URI in the schema.
        url = URL.create(scheme, database=connection.host or connection.schema, query=extra)
    else:
        url = URL.create(
            scheme, username=connection.login, password=connection.password, host=connection.host or None,
            port=connection.port, database=connection.schema or None, query=extra,
        )  # fmt: skip
    return SecretStr(url.render_as_string(hide_password=False))
