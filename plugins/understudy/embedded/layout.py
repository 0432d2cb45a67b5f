"""Where the embedded stack keeps what."""

from pathlib import Path

from understudy.contract.declared import Fact
from understudy.settings import PROJECT


class Layout(Fact):
    """Give the paths of one embedded stack; everything it ever writes lies below ``home``."""

    home: Path
    project: Path = PROJECT

    @property
    def airflow_home(self) -> Path:
        """Where Airflow keeps its configuration and its database."""
        return self.home / "airflow"

    @property
    def config(self) -> Path:
        """Airflow's configuration; holds secrets, so only its owner may read it."""
        return self.airflow_home / "airflow.cfg"

    @property
    def database(self) -> Path:
        """Airflow's database."""
        return self.airflow_home / "airflow.db"

    @property
    def logs(self) -> Path:
        """Where every component writes."""
        return self.home / "logs"

    @property
    def passwords(self) -> Path:
        """The generated password of the admin user; only its owner may read it."""
        return self.home / "passwords.json"

    @property
    def secrets(self) -> Path:
        """The generated keys of Airflow; only their owner may read them."""
        return self.home / "secrets.json"

    @property
    def running(self) -> Path:
        """What was started, and on which ports."""
        return self.home / "running.json"

    @property
    def gateway_address(self) -> Path:
        """Where the gateway answers, for as long as it is meant to; the settings read it."""
        return self.home / "gateway" / "address"

    def log_of(self, component: str) -> Path:
        """Where a component writes."""
        return self.logs / f"{component}.log"
