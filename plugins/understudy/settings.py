"""How this deployment runs, read once: the environment first, then the [understudy] section of airflow.cfg."""

import os
from configparser import ConfigParser
from configparser import Error as ConfigError
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from understudy.contract.declaration.cron import cron_problem
from understudy.contract.declaration.train import Memory, RuntimeSpec
from understudy.contract.declared import Duration, parse_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.suggest import nearest
from understudy.contract.words import AlertKind

PROJECT = Path(__file__).resolve().parents[2]


class ConfigUnreadable(UnderstudyError):
    """airflow.cfg is there and cannot be read."""

    def __init__(self, path: Path, broken: Exception) -> None:
        self.path = path
        first_line = str(broken).splitlines()[0]
        super().__init__(f"{path} cannot be read ({first_line}). Correct it, or let AIRFLOW_CONFIG name another file.")


class _AirflowCfg(PydanticBaseSettingsSource):
    """Read the [understudy] section without importing Airflow, which costs a second."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base class's signature
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        home = os.environ.get("AIRFLOW_HOME")
        path = Path(os.environ.get("AIRFLOW_CONFIG") or Path(home or "~/airflow").expanduser() / "airflow.cfg")
        parser = ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (ConfigError, UnicodeDecodeError, OSError) as broken:
            raise ConfigUnreadable(path, broken) from broken
        section = dict(parser["understudy"]) if parser.has_section("understudy") else {}
        return {"UNDERSTUDY_HOME" if name == "home" else name: value for name, value in section.items()}


class Settings(BaseSettings):
    """Hold the deployment's settings; each is an environment variable AIRFLOW__UNDERSTUDY__<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix="AIRFLOW__UNDERSTUDY__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
    )

    home: Path = Field(default=PROJECT / ".understudy", validation_alias="UNDERSTUDY_HOME")
    """The one directory that holds all state of the embedded stack."""
    models_dir: Path = PROJECT / "include" / "models"
    """Where the model.yaml files are."""
    isolation: Literal["auto", "docker", "process"] = "auto"
    """Where stages run; auto takes Docker where an engine answers, and nothing else for an image of the model's own."""
    docker_conn_id: str = ""
    """The Airflow connection of the Docker daemon (host, TLS); the local socket or DOCKER_HOST when empty."""
    image: str = "understudy-stage:0.1.0"
    """The default image of all stages."""
    memory: Memory = "2g"
    """The default memory limit of a stage."""
    cpus: float = Field(default=1.0, gt=0)
    """The default CPU limit of a stage."""
    stage_timeout: Duration = Field(default_factory=lambda: parse_duration("2h"))
    """The default time limit of a stage."""
    workspace: Path | None = None
    """Where runs keep their files; <home>/workspace when empty."""
    keep_runs: Duration = Field(default_factory=lambda: parse_duration("30d"))
    """How long a run's files stay in the workspace; housekeeping deletes them after that."""
    retrain_within: Duration = Field(default_factory=lambda: parse_duration("1h"))
    """How soon a retraining has to begin after a look asked for it, before that is reported and asked for again."""
    workspace_on_daemon: str = ""
    """The same folder as the Docker daemon sees it; when empty, files are copied through the Docker API instead."""
    network: str = "bridge"
    """The Docker network of stages that need one, such as a snapshot from a database; all others have none."""
    ledger_url: str = ""
    """The SQLAlchemy URL of the ledger; SQLite below home when empty."""
    mlflow_tracking_uri: str = ""
    """The MLflow registry; SQLite below home when empty."""
    mlflow_pages: str = ""
    """The address that people's browsers reach MLflow at, for links to versions; there are none when empty."""
    mlflow_artifacts: str = ""
    """Where a new MLflow experiment keeps artefacts; a folder below home when empty."""
    mlflow_database: str = ""
    """The SQLAlchemy URL of the MLflow server's database, for backup and restore; the registry itself when empty."""
    mlflow_artifact_files: Path | None = None
    """The folder of an MLflow server's artefacts, for backup and restore; where their address says when empty."""
    data_registry: str = ""
    """The Git repository that records every data version; a bare repository below home when empty."""
    data_store: str = ""
    """The DVC remote that keeps the data; a folder below home when empty."""
    data_roots: str = ""
    """Folders, separated by colons, outside of which no absolute data source may lie; no limit when empty."""

    gateways: str = ""
    """The base URLs of all gateway replicas, separated by commas; the embedded stack's gateway when empty."""
    gateway_token: SecretStr = SecretStr("")
    """What the gateways' admin API asks for; a generated one below home when empty."""
    gateway_host: str = "127.0.0.1"
    """The address that `understudy gateway` listens on."""
    gateway_port: int = Field(default=8090, ge=0, le=65_535)
    """The port that `understudy gateway` listens on."""
    gateway_max_body: Memory = "16m"
    """The largest request that a gateway reads; larger ones are answered with 413."""
    gateway_isolation: Literal["auto", "docker", "process"] = "auto"
    """Which versions a gateway scores in containers: auto takes those whose declaration names an image of its own, and
    on Python 3.10 all that an image trained, docker all that an image trained, process none."""

    signing_key: str = ""
    """The private key (PEM, elliptic curve) that new versions are signed with; nothing is signed when empty."""
    verify_key: str = ""
    """The public keys, separated by colons, one of which must have signed a version before anything of it is read: by
    gateways, evaluation and promotion; no signature is asked for when empty."""

    airflow_url: str = ""
    """The base URL of the Airflow that commands talk to; the embedded stack's when empty."""
    airflow_user: str = ""
    """As whom commands log in there, with airflow_password."""
    airflow_password: SecretStr = SecretStr("")
    """The password of airflow_user."""
    airflow_token: SecretStr = SecretStr("")
    """An access token of the person who types the commands, in place of user and password."""

    airflow_pages: str = ""
    """The address that people's browsers reach Airflow at, for links in alerts, where `[api] base_url` is empty."""

    alerts_to: str = ""
    """The Airflow connections that alerts go to, separated by commas, of the types smtp, slackwebhook, pagerduty_events
    and http; nobody is told when empty."""
    alerts_mail_to: str = ""
    """The addresses that connections of the type smtp write to, separated by commas."""
    alerts_kinds: str = ""
    """Which kinds of alerts are sent, separated by commas; all when empty."""
    alerts_per_hour: int = Field(default=10, ge=2, le=1000)
    """The most messages about one model to one receiver within an hour; any more are summed up in one."""
    alerts_runbooks: str = ""
    """The address at which docs/runbooks.md can be read; each alert points to its heading there. Our own page in
    Airflow when empty."""

    drill_schedule: str = ""
    """When the rollback drill runs, a cron expression of five fields in UTC; only by hand when empty."""
    drill_detect_within: Duration = Field(default_factory=lambda: parse_duration("2m"))
    """How soon a drill's bad model has to be found out."""
    drill_reverse_within: Duration = Field(default_factory=lambda: parse_duration("5s"))
    """How soon after that all gateways have to answer with the good one."""

    @field_validator("drill_schedule")
    @classmethod
    def _readable_by_airflow(cls, schedule: str) -> str:
        problem = cron_problem(schedule) if schedule else None
        if problem:
            raise ValueError(problem)
        return schedule

    @field_validator("alerts_kinds")
    @classmethod
    def _known_alerts(cls, kinds: str) -> str:
        known = [kind.value for kind in AlertKind]
        for name in listed(kinds):
            if name not in known:
                raise ValueError(f"{name!r} is not a kind of alert{nearest(name, known)}")
        return kinds

    @field_validator("home", "models_dir", "workspace", "mlflow_artifact_files")
    @classmethod
    def _start_at_the_project(cls, path: Path | None) -> Path | None:
        # Not at the working directory: Airflow's processes, the command line and the tests each have another one.
        return path and PROJECT / path.expanduser()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over airflow.cfg."""
        return init_settings, env_settings, _AirflowCfg(settings_cls)

    @property
    def workspace_dir(self) -> Path:
        """Resolve where runs keep their files."""
        return self.workspace or self.home / "workspace"

    @property
    def ledger(self) -> str:
        """Resolve the ledger's URL."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def registry(self) -> str:
        """Resolve the registry's URI."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        """Resolve where MLflow keeps artefacts."""
        return self.mlflow_artifacts or (self.home / "mlflow-artifacts").as_uri()

    @property
    def gateway_dir(self) -> Path:
        """Where this machine's gateway keeps its records, its log and its token."""
        return self.home / "gateway"

    @property
    def gateway_address_file(self) -> Path:
        """Where the embedded stack says that its gateway runs, and where."""
        return self.gateway_dir / "address"

    @property
    def gateway_urls(self) -> tuple[str, ...]:
        """Resolve the gateways' base URLs; none where nothing is served."""
        listed = [url.strip().rstrip("/") for url in self.gateways.split(",") if url.strip()]
        if not listed and self.gateway_address_file.is_file():
            listed = [self.gateway_address_file.read_text(encoding="utf-8").strip()]
        return tuple(listed)

    @property
    def gateway_secret(self) -> SecretStr | None:
        """Resolve the token of the admin API; None where none was set or generated yet."""
        if self.gateway_token.get_secret_value():
            return self.gateway_token
        path = self.gateway_dir / "token"
        return SecretStr(path.read_text(encoding="utf-8").strip()) if path.is_file() else None

    @property
    def signing_key_file(self) -> Path | None:
        """Resolve the path of the private key; None where nothing is signed."""
        return PROJECT / Path(self.signing_key).expanduser() if self.signing_key else None

    @property
    def verify_keys(self) -> tuple[Path, ...]:
        """Resolve the paths of the public keys."""
        return tuple(PROJECT / Path(path.strip()).expanduser() for path in self.verify_key.split(":") if path.strip())

    @property
    def runtime(self) -> RuntimeSpec:
        """Give the deployment's defaults in the words of a spec."""
        return RuntimeSpec(image=self.image, memory=self.memory, cpus=self.cpus, timeout=self.stage_timeout)


def listed(text: str) -> tuple[str, ...]:
    """Read names that are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the settings once a process."""
    return Settings()
