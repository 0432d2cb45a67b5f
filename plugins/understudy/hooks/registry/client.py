"""Reach MLflow: quietly, safely at first use, and with errors that a person can read."""

import fcntl
import logging
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.hooks.ledger.facts import mask
from understudy.hooks.registry.errors import RegistryRefused, RegistryUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow alone would report usage to its makers, and would keep a task waiting for minutes where its server is down.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
_SQLITE = "sqlite:///"
_OPENING = threading.Lock()  # warnings are silenced for all threads at once, and imports are slow enough to collide
_NOT_THERE = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_SAYS_NO = {"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED", "INVALID_STATE", *_NOT_THERE}


class RegistryClient:
    """Hold one deployment's MLflow client, made on first use."""

    def __init__(self, uri: str, artifacts: str) -> None:
        self.uri, self.artifacts = uri, artifacts
        self.name = mask(uri)
        self._client: MlflowClient | None = None

    @contextmanager
    def asking(self) -> Iterator["MlflowClient"]:
        """Give the client; raise RegistryUnavailable where MLflow does not answer, RegistryRefused where it says no."""
        client = self._open()
        from mlflow.exceptions import MlflowException
        from requests import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield client
        except MlflowException as told:
            if told.error_code in _SAYS_NO and not isinstance(told.__cause__, SQLAlchemyError | OSError):
                raise RegistryRefused(self.name, _first_line(told)) from told
            raise RegistryUnavailable(self.name, _root_cause(told)) from told
        except (RequestException, SQLAlchemyError, OSError) as broken:
            raise RegistryUnavailable(self.name, _root_cause(broken)) from broken

    def _open(self) -> "MlflowClient":
        with _OPENING:
            if self._client is None:
                for name, value in _ENVIRONMENT.items():
                    os.environ.setdefault(name, value)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of MLflow's own imports; nothing a user of ours could act on
                    self._client = self._connect()
            return self._client

    def _connect(self) -> "MlflowClient":
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._create_database()
            self._probe()
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        except (MlflowException, SQLAlchemyError, OSError) as broken:
            raise RegistryUnavailable(self.name, _root_cause(broken)) from broken

    def _create_database(self) -> None:
        """Create a SQLite registry as a whole: built aside by one process, then put in place in one step.

        Several first users at once, or a killed one, would otherwise leave half-migrated tables behind.
        """
        database = Path(self.uri.removeprefix(_SQLITE))
        if not self.uri.startswith(_SQLITE) or database.exists():
            return
        database.parent.mkdir(parents=True, exist_ok=True)
        with database.with_name(f"{database.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if database.exists():
                return
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            logging.getLogger("alembic").setLevel(logging.WARNING)
            scratch = Path(tempfile.mkdtemp(dir=database.parent, prefix=f".{database.name}-"))
            try:
                store: Any = SqlAlchemyStore
                store(f"{_SQLITE}{scratch / 'draft'}", self.artifacts).engine.dispose()
                # A link, unlike a rename, does not replace what an MLflow server has made in the meantime.
                os.link(scratch / "draft", database)
            except FileExistsError:
                return
            finally:
                shutil.rmtree(scratch)

    def _probe(self) -> None:
        """Connect to the database once, because MLflow itself tries for 100 s before it says that it cannot."""
        if not self.uri.startswith(("http:", "https:")):
            from sqlalchemy import create_engine, text
            from sqlalchemy.pool import NullPool

            with create_engine(self.uri, poolclass=NullPool).connect() as connection:
                connection.execute(text("SELECT 1"))


def is_missing(refused: RegistryRefused) -> bool:
    """Tell "there is no such thing" from other refusals."""
    code = getattr(refused.__cause__, "error_code", "")
    return code in _NOT_THERE


def is_there_already(refused: RegistryRefused) -> bool:
    """Tell "somebody was faster" from other refusals."""
    return getattr(refused.__cause__, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _root_cause(broken: BaseException) -> str:
    while broken.__context__ is not None:
        broken = broken.__context__
    return _first_line(broken)


def _first_line(broken: BaseException) -> str:
    lines = mask(str(broken)).strip().splitlines()
    return lines[0][:300] if lines else type(broken).__name__
