"""What the embedded components are told: one configuration file and a few environment variables."""

import os
import sys
from collections.abc import Mapping
from configparser import ConfigParser
from io import StringIO
from pathlib import Path

from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN, keys, write_private
from understudy.embedded.ports import Ports

PARALLELISM = 6  # LocalExecutor forks that many idle workers of 135 MB; four trials and a monitor fit in
DATABASE_WAIT_S = 60  # the scheduler ends where it cannot write
# The API server writes in its event loop too, which may have to finish the very request that holds the lock: waiting
# longer would not help it. Who asked gets HTTP 500 and asks again, as tasks do.
API_DATABASE_WAIT_S = 5
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
LOCAL_HOSTS = "127.0.0.1,localhost"
GATEWAYS = "AIRFLOW__UNDERSTUDY__GATEWAYS"
MLFLOW_PAGES = "AIRFLOW__UNDERSTUDY__MLFLOW_PAGES"


def write_config(layout: Layout, ports: Ports) -> None:
    """Write Airflow's configuration: for one small, perhaps busy machine, reachable from nowhere else."""
    parser = ConfigParser(interpolation=None)
    parser.read_dict({section: _escaped(options) for section, options in _config(layout, ports).items()})
    text = StringIO()
    parser.write(text)
    write_private(
        layout.config,
        "# Written by `understudy up` at every start; to differ, set AIRFLOW__SECTION__OPTION.\n" + text.getvalue(),
    )


def _config(layout: Layout, ports: Ports) -> dict[str, dict[str, str | int | float | Path]]:
    secret = keys(layout)
    return {
        "core": {
            "dags_folder": layout.project / "dags",
            "plugins_folder": layout.project / "plugins",
            "executor": "LocalExecutor",
            "parallelism": PARALLELISM,
            "load_examples": False,
            # A declared schedule is meant; a paused Dag would retrain nothing and tell nobody.
            "dags_are_paused_at_creation": False,
            "simple_auth_manager_users": f"{ADMIN}:admin",
            "simple_auth_manager_passwords_file": layout.passwords,
            "fernet_key": secret.fernet,
            "execution_api_server_url": f"http://127.0.0.1:{ports.airflow}/execution/",
            "min_serialized_dag_update_interval": 2,
            "dagbag_import_timeout": 120,
            # getfqdn asks the DNS, which a laptop between networks waits for.
            "hostname_callable": "socket.gethostname",
        },
        "database": {"sql_alchemy_conn": database_url(layout, DATABASE_WAIT_S)},
        "logging": {
            "base_log_folder": layout.logs / "tasks",
            "dag_processor_child_process_log_directory": layout.logs / "dag_processor",
            "worker_log_server_port": ports.worker_logs,
            "trigger_log_server_port": ports.triggerer_logs,
        },
        "api": {
            "host": "127.0.0.1",
            "port": ports.airflow,
            "base_url": f"http://localhost:{ports.airflow}",
            "workers": 1,
            "secret_key": secret.session,
        },
        "api_auth": {"jwt_secret": secret.jwt},
        # A loaded machine answers late, not never: the defaults fail a task before it has started.
        "workers": {"execution_api_timeout": 60, "execution_api_retries": 8, "max_failed_heartbeats": 10},
        "scheduler": {
            "scheduler_heartbeat_sec": 2,
            "scheduler_idle_sleep_time": 0.5,
            "scheduler_health_check_threshold": 120,
        },
        "triggerer": {"triggerer_health_check_threshold": 120},
        "dag_processor": {
            "refresh_interval": 10,
            "min_file_process_interval": 15,
            "parsing_processes": 1,
            "dag_file_processor_timeout": 180,
            "health_check_threshold": 120,
        },
    }


def database_url(layout: Layout, wait_s: int) -> str:
    """Name Airflow's database and how long a writer waits for another."""
    return f"sqlite:///{layout.database}?timeout={wait_s}"


def api_environment(layout: Layout, environment: Mapping[str, str]) -> dict[str, str]:
    """Give the API server's environment; a database that the user has chosen stays."""
    return {DATABASE: database_url(layout, API_DATABASE_WAIT_S), **environment}


def _escaped(options: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value).replace("%", "%%") for name, value in options.items()}


def process_environment(layout: Layout, base: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of every component; what the user has set of Airflow's options stays."""
    environment = dict(base)
    environment.pop("AIRFLOW_CONFIG", None)  # would name another configuration than ours
    environment |= {
        "AIRFLOW_HOME": str(layout.airflow_home),
        "UNDERSTUDY_HOME": str(layout.home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)]),
        "PYTHONPATH": _joined(str(layout.project / "plugins"), base.get("PYTHONPATH"), os.pathsep),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        # A company's proxy must not be asked for what runs on this machine.
        "NO_PROXY": _joined(LOCAL_HOSTS, base.get("NO_PROXY") or base.get("no_proxy"), ","),
    }
    environment["no_proxy"] = environment["NO_PROXY"]
    if sys.platform == "darwin":
        # macOS kills a forked process that touches its frameworks, unless told not to.
        environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
    return environment


def served_at(environment: Mapping[str, str], ports: Ports) -> dict[str, str]:
    """Tell Airflow where the gateway and MLflow's pages are, unless the user names others."""
    told = {GATEWAYS: gateway_url(ports), MLFLOW_PAGES: mlflow_pages(ports)}
    return {**environment, **{name: environment.get(name) or address for name, address in told.items()}}


def gateway_url(ports: Ports) -> str:
    """Give the base URL of the stack's gateway."""
    return f"http://127.0.0.1:{ports.gateway}"


def _joined(first: str, rest: str | None, separator: str) -> str:
    return first + separator + rest if rest else first


def mlflow_pages(ports: Ports) -> str:
    """Give the address of the stack's MLflow as a browser on this machine has it."""
    return f"http://localhost:{ports.mlflow}"
