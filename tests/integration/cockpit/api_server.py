"""Airflow's real API server with the cockpit in it, and who asks it."""

import warnings
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from understudy.overview import fleet_reader as reader_module

MODEL = "model_0001"
PAGES = ("/understudy/", f"/understudy/models/{MODEL}", f"/understudy/models/{MODEL}/cards/10")
JSON = ("/understudy/api/models", f"/understudy/api/models/{MODEL}", f"/understudy/api/models/{MODEL}/ledger")


def forget_what_was_read() -> None:
    reader_module.fleet_reader.cache_clear()
    reader_module.read_ahead.cache_clear()


def forget_plugins() -> None:
    """Let Airflow look for plugins again: a test that ran before may have had it look elsewhere."""
    from airflow import plugins_manager

    for found in vars(plugins_manager).values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()


def api_server(home: Path) -> Any:
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.configuration import conf
    from airflow.utils.db import resetdb

    plugins = Path(__file__).resolve().parents[3] / "plugins"
    conf.set("core", "plugins_folder", str(plugins))
    from airflow import settings as airflow_settings

    airflow_settings.PLUGINS_FOLDER = str(plugins)
    conf.set("api_auth", "jwt_secret", "secret" * 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Airflow's own start touches is Airflow's to mend
        resetdb()  # the DAGs of other tests of this process are not those of a fleet of four
        purge_cached_app()
        return create_app(apps="core")


def caller(server: Any, role: str | None, name: str = "vera") -> TestClient:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
    return TestClient(server, headers={"Authorization": f"Bearer {token}"}, follow_redirects=False)
