"""Start the components of the stack that do not run yet, in the order in which they need each other."""

import subprocess
import sys
from collections.abc import Callable, Collection, Iterator

from understudy import __version__
from understudy.contract.errors import UnderstudyError
from understudy.embedded.environment import api_environment
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import write_private
from understudy.embedded.ports import Ports
from understudy.embedded.processes import Started, start
from understudy.settings import Settings

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
COMPONENTS = ("mlflow", "gateway", *AIRFLOW)


class DatabaseBroken(UnderstudyError):
    """Airflow's database cannot be brought up to date."""

    def __init__(self, layout: Layout, last_words: str) -> None:
        super().__init__(
            f"Airflow's database {layout.database} cannot be brought up to date: {last_words}. "
            f"Move it away to start with an empty one; models, ledger and data are kept elsewhere."
        )


def start_missing(
    settings: Settings,
    layout: Layout,
    ports: Ports,
    environment: dict[str, str],
    *,
    there: Collection[str],
    on_step: Callable[[str], None],
) -> Iterator[Started]:
    """Start each component that is not ``there``, once it is asked for.

    :raises DatabaseBroken: when Airflow's database cannot be migrated.
    """
    if "mlflow" not in there:
        yield _start_mlflow(settings, layout, ports, environment)
    if "gateway" not in there:
        yield _start_gateway(layout, ports, environment)
    _migrate(layout, environment, on_step)
    for name in (name for name in AIRFLOW if name not in there):
        own = api_environment(layout, environment) if name == "api-server" else environment
        yield start(name, [sys.executable, "-m", "airflow", name], own, layout.log_of(name), layout.home)


def _start_mlflow(settings: Settings, layout: Layout, ports: Ports, environment: dict[str, str]) -> Started:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(ports.mlflow),
        "--workers",
        "1",
        "--backend-store-uri",
        settings.registry,
        "--default-artifact-root",
        settings.artifacts,
        "--no-serve-artifacts",
    ]
    return start("mlflow", command, environment, layout.log_of("mlflow"), layout.home)


def _start_gateway(layout: Layout, ports: Ports, environment: dict[str, str]) -> Started:
    command = [
        sys.executable,
        "-m",
        "understudy.cli",
        "gateway",
        # Like all of the stack it is reachable from this machine only; `understudy gateway` alone obeys the settings.
        "--host",
        "127.0.0.1",
        "--port",
        str(ports.gateway),
    ]
    return start("gateway", command, environment, layout.log_of("gateway"), layout.home)


def _migrate(layout: Layout, environment: dict[str, str], on_step: Callable[[str], None]) -> None:
    """Bring Airflow's database up to date; one that was never finished holds nothing and is made anew."""
    finished = layout.airflow_home / "migrated"
    wanted = f"{_airflow_version()} {__version__}"
    if layout.database.is_file() and finished.is_file() and finished.read_text(encoding="utf-8") == wanted:
        return
    on_step("preparing Airflow's database")
    if not finished.is_file():
        for rest in layout.airflow_home.glob("airflow.db*"):
            rest.unlink()
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    answer = subprocess.run(command, env=environment, cwd=layout.home, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise DatabaseBroken(layout, " | ".join(answer.stderr.strip().splitlines()[-3:])[-400:])
    write_private(finished, wanted)


def _airflow_version() -> str:
    from importlib.metadata import version

    return version("apache-airflow-core")
