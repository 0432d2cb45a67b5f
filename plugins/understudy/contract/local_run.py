"""A run without a scheduler: no Airflow knows of it, so the ledger says where it can be told whether it goes on."""

from understudy.contract.declared import Fact
from understudy.contract.read_facts import read_as
from understudy.contract.release import LedgerEntry


class LocalRun(Fact):
    """Say where a run has its process."""

    host: str
    """As people call the machine."""
    place: str
    """Names the folder whose lock it holds for as long as it lives; a copied path is another place."""

    @property
    def sentence(self) -> str:
        """Say who can tell how it is doing."""
        return f"it runs without a scheduler on {self.host}, and only there can be told whether it still does"


def local_run_in(entry: LedgerEntry) -> LocalRun | None:
    """Read where the run that began with an entry has its process; None where a scheduler runs it."""
    return read_as(LocalRun, entry.facts.get("local"))
