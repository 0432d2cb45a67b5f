"""Where a deployment's parts are, as this machine reaches them."""

from pathlib import Path
from urllib.parse import unquote, urlparse

from understudy.backup.errors import NotReachable
from understudy.hooks.data.dvc_store import DvcStore
from understudy.hooks.data.git_registry import is_local
from understudy.settings import Settings


class Places:
    """Resolve the settings to files and databases."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.home = settings.home.resolve()
        self.ledger = settings.ledger
        self.bundles = self.home / "bundles"
        self.data_registry = settings.data_registry or str(self.home / "data-versions.git")
        self._data_store = settings.data_store or str(self.home / "data-store")

    @property
    def registry(self) -> str:
        """The database of MLflow.

        :raises NotReachable: where only its server is known.
        """
        url = self._settings.mlflow_database or self._settings.registry
        if url.startswith(("http:", "https:")):
            raise NotReachable("MLflow's database", url, "AIRFLOW__UNDERSTUDY__MLFLOW_DATABASE")
        return url

    @property
    def artifacts(self) -> str:
        """The address by which MLflow's database names the artefacts."""
        return self._settings.artifacts

    @property
    def artifact_files(self) -> Path | None:
        """The folder of the artefacts; None where they are in an object store."""
        if self._settings.mlflow_artifact_files:
            return self._settings.mlflow_artifact_files
        address = urlparse(self.artifacts)
        if address.scheme == "mlflow-artifacts":
            raise NotReachable("MLflow's artefacts", self.artifacts, "AIRFLOW__UNDERSTUDY__MLFLOW_ARTIFACT_FILES")
        return Path(unquote(address.path)) if address.scheme in {"", "file"} else None

    @property
    def data_store(self) -> Path | None:
        """The folder of the data; None where it is in an object store."""
        return Path(DvcStore(self._data_store).url) if is_local(self._data_store) else None

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What lies in object stores, which keep and copy it by themselves."""
        named = {self.artifacts: self.artifact_files, self._data_store: self.data_store}
        return tuple(where for where, files in named.items() if files is None)
