"""What Airflow loads: the cockpit's pages, where they are found, and what the scheduler imports beforehand."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from understudy import preload

PREFIX = "/understudy"
ICON = f"{PREFIX}/static/models.svg"
ICON_IN_THE_DARK = f"{PREFIX}/static/models-dark.svg"


async def cockpit(scope: Any, receive: Any, send: Any) -> None:
    """Import the pages with their first request: every Airflow process loads plugins, and one serves pages.

    That request is for the icon which all pages of Airflow show: whoever opens ours next finds the fleet read.
    """
    from understudy.overview.fleet_reader import read_ahead
    from understudy.ui.app import app

    read_ahead()
    await app(scope, receive, send)


def _below_airflow(path: str) -> str:
    """Give a path as the browser has to ask for it, where Airflow itself lies below a path."""
    return urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/") + path


class UnderstudyPlugin(AirflowPlugin):
    """Register the pages, their entry in the navigation, a tab beside each DAG and each run, and the imports."""

    name = "understudy"
    listeners = [preload]  # noqa: RUF012 - Airflow's interface
    fastapi_apps = [{"app": cockpit, "url_prefix": PREFIX, "name": "Understudy"}]  # noqa: RUF012 - as above
    external_views = [  # noqa: RUF012 - as above
        {
            "name": "Models",
            "href": _below_airflow(f"{PREFIX}/"),
            "destination": "nav",
            "url_route": "models",
            "nav_top_level": True,
            "icon": _below_airflow(ICON),
            "icon_dark_mode": _below_airflow(ICON_IN_THE_DARK),
        },
        {
            "name": "Model",
            "href": _below_airflow(f"{PREFIX}/dags/{{DAG_ID}}"),
            "destination": "dag",
            "url_route": "model",
            "icon": _below_airflow(ICON),
            "icon_dark_mode": _below_airflow(ICON_IN_THE_DARK),
        },
        {
            "name": "Decisions",
            "href": _below_airflow(f"{PREFIX}/dags/{{DAG_ID}}/runs/{{RUN_ID}}"),
            "destination": "dag_run",
            "url_route": "decisions",
            "icon": _below_airflow(ICON),
            "icon_dark_mode": _below_airflow(ICON_IN_THE_DARK),
        },
    ]


# What an installed wheel's entry point names. Airflow calls it an error to find a plugin twice, so there is nothing to
# add where it reads this very file from its plugins folder.
IS_IN_PLUGINS_FOLDER = Path(__file__).resolve().parent == Path(conf.get("core", "plugins_folder")).resolve()
INSTALLED = None if IS_IN_PLUGINS_FOLDER else UnderstudyPlugin
