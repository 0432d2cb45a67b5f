"""A small deployment of its own: real Airflow tasks, real processes, real ledger and registry, no scheduler."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

from understudy.contract.load import SPEC_FILE
from understudy.hooks.connect import Hooks
from understudy.runners.nursery import nursery
from understudy.settings import settings
from understudy.workspace import run_key

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.integration.real_gateway import Trained
    from understudy.contract.serving import ServingOrder

PROJECT = Path(__file__).resolve().parents[2]
START = "2024-01-01"
ROWS = 3000


@pytest.fixture(scope="session", autouse=True)
def _forked_stages() -> Iterator[None]:
    """Fork the stages of all these tests from one process, as a retraining without a scheduler does with its own."""
    with nursery():
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_scheduler_to_wait_for() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("understudy.operators.settle.SETTLES_S", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _registries_migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copy the tables of the first registry into the others: MLflow migrates each through the years, for a second."""
    from mlflow.store.db import utils

    template = tmp_path_factory.mktemp("registry") / "tables.db"
    migrate: Callable[[Engine], None] = utils._initialize_tables

    def initialize(engine: "Engine") -> None:
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        if file and template.exists():
            copy_database(template, file)
            return
        migrate(engine)
        if file:
            copy_database(file, template)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_initialize_tables", initialize)
        yield


def copy_database(source: str | Path, target: str | Path) -> None:
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target)) as copy:
        whole.backup(copy)


@dataclass(frozen=True)
class Run:
    """How a run ended: the state of the whole, of each task, and what the tasks returned."""

    state: str
    tasks: dict[str, str]
    """By task id, mapped tasks as ``trial_1[0]``."""
    returned: dict[str, Any]
    id: str
    key: str

    @property
    def outcome(self) -> str:
        return str(self.returned["outcome"]["outcome"])

    @property
    def sentence(self) -> str:
        return str(self.returned["outcome"]["sentence"])


@dataclass(frozen=True)
class Site:
    """Everything below one folder; any number of models."""

    home: Path

    @contextmanager
    def here(self) -> Iterator[pytest.MonkeyPatch]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("UNDERSTUDY_HOME", str(self.home))
            patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(self.home / "models"))
            patch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "process")
            # Airflow read this when it was imported, which another test may have done.
            patch.setattr("airflow.settings.DAGS_FOLDER", str(PROJECT / "dags"))
            settings.cache_clear()
            yield patch
        settings.cache_clear()

    @property
    def hooks(self) -> Hooks:
        with self.here():
            return Hooks(settings())

    def spec_path(self, model: str) -> Path:
        return self.home / "models" / model / SPEC_FILE

    def declare(self, model: str, **sections: Any) -> Path:
        """Write a declaration of a quick little model; ``sections`` replace whole sections, None removes one."""
        spec: dict[str, Any] = {
            "model": model,
            "owner": "market-ml",
            "task": "binary_classification",
            "data": {"source": str(self.home / "data" / f"{model}.csv"), "time": "at", "target": "up"},
            "train": {"estimator": "decision_tree", "params": {"max_depth": 6}},
            "evaluate": {"must_beat": ["dummy"]},
            "gates": [{"metric": "roc_auc", "floor": 0.6}],
            "retrain": {"retries": 0},
            **sections,
        }
        path = self.spec_path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            yaml.safe_dump({k: v for k, v in spec.items() if v is not None}, sort_keys=False), encoding="utf-8"
        )
        return path

    def deliver(self, model: str, frame: pd.DataFrame) -> Path:
        path = self.home / "data" / f"{model}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)
        return path

    def retrain(self, model: str, *, before: Mapping[str, Callable[[], object]] | None = None, **conf: Any) -> Run:
        """Run ``retrain__<model>``; ``before`` does something in the middle of the run, just before a task."""
        return self.run(f"retrain__{model}", "retraining", before or {}, conf)

    def run(self, dag_id: str, file: str, before: Mapping[str, Callable[[], object]], conf: dict[str, Any]) -> Run:
        from airflow.dag_processing.dagbag import DagBag

        with self.here(), warnings.catch_warnings():
            # What Airflow warns itself of while it plays its own scheduler is not ours to correct.
            warnings.filterwarnings("ignore", module=r"airflow\..*")
            bag = DagBag(str(PROJECT / "dags" / f"{file}.py"))
            assert bag.import_errors == {}
            dag = bag.dags[dag_id]
            for task_id, happening in before.items():
                dag.get_task(task_id).__dict__["_pre_execute_hook"] = lambda context, happening=happening: happening()
            for task in dag.tasks:
                if not task.is_mapped:
                    task.retries = 0
            ended = dag.test(run_conf=conf, logical_date=None)
            return _read(ended)


def _read(ended: Any) -> Run:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        tasks = ended.get_task_instances(session=session)
        found = session.scalars(XComModel.get_many(key="return_value", dag_ids=ended.dag_id, run_id=ended.run_id))
        returned = {_name(row): XComModel.deserialize_value(row) for row in found}
        return Run(
            state=str(ended.state),
            tasks={_name(task): str(task.state) for task in tasks},
            returned=returned,
            id=ended.run_id,
            key=run_key(ended.run_id),
        )


def _name(row: Any) -> str:
    return str(row.task_id) if row.map_index < 0 else f"{row.task_id}[{row.map_index}]"


def hourly(rows: int = ROWS, seed: int = 1, start: str = START) -> pd.DataFrame:
    """Simulate hourly rows whose label follows two of three columns, with some noise."""
    rng = np.random.default_rng(seed)
    wind, sun, noise = rng.normal(size=rows), rng.normal(size=rows), rng.normal(size=rows)
    up = (np.sin(2 * wind) + sun * (wind > 0) + 0.4 * rng.normal(size=rows) > 0).astype(int)
    region = rng.choice(["north", "south"], size=rows)
    at = pd.date_range(start, periods=rows, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    return pd.DataFrame(
        {"at": at, "wind": wind.round(4), "sun": sun.round(4), "noise": noise.round(4), "region": region, "up": up}
    )


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make Airflow's database once; every run has an id of its own in it."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        initdb()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """Train three versions for gateways to serve, once for all files; nobody may change them, see ``lay_out``."""
    from tests.integration.real_gateway import train

    return train(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def served_home(tmp_path: Path, trained: "Trained") -> Path:
    from tests.integration.real_gateway import lay_out

    return lay_out(tmp_path, trained)


@pytest.fixture
def order(trained: "Trained") -> "Callable[..., ServingOrder]":
    from tests.integration.real_gateway import order_of

    return partial(order_of, trained)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, airflow_database: None) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server for a test module and give its address."""
    if not (shutil.which("initdb") and shutil.which("postgres")):
        pytest.skip("no PostgreSQL server binaries (initdb, postgres) on PATH")
    # The server refuses to run as root.
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    account: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="understudy-pg-", dir="/tmp") as folder:
        os.chown(folder, user.pw_uid, user.pw_gid)
        subprocess.run(
            ["initdb", "-D", f"{folder}/data", "-U", "ann", "--auth=trust", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **account,
        )
        process = subprocess.Popen(
            ["postgres", "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account,
        )
        try:
            wait = f"for i in $(seq 100); do pg_isready -q -h {folder} && exit 0; sleep 0.1; done; exit 1"
            subprocess.run(["sh", "-c", wait], check=True)
            yield f"postgresql+psycopg://ann:s3cret@/postgres?host={folder}"
        finally:
            process.terminate()
            process.wait(timeout=30)
