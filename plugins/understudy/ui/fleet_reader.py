"""Read what the fleet's page needs: two queries to the ledger, whatever the number of models, and only what is new."""

from dataclasses import dataclass, field
from threading import Lock

from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.hooks.deployments import locks_in
from understudy.hooks.ledger import Ledger
from understudy.ui.airflow_state import Airflow
from understudy.ui.glance import NEWEST, Glance, Recorded, glance, record_in

STANDING = (EntryKind.LOCKED, EntryKind.UNLOCKED)
"""Kinds of which every entry counts."""


@dataclass
class FleetReader:
    """Remember the newest entries of every model.

    The ledger only grows, so what was read stays true, and a later read asks for what came since.
    """

    ledger: Ledger
    _seen: int = 0
    _stood: int = 0
    _newest: dict[str, dict[EntryKind, LedgerEntry]] = field(default_factory=dict)
    _founding: dict[str, LedgerEntry] = field(default_factory=dict)
    _standing: dict[str, list[LedgerEntry]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def glances(self, airflow: Airflow) -> list[Glance]:
        """Read every model that Airflow or the ledger knows."""
        with self._lock:
            self._catch_up()
            declared = {dag.removeprefix(RETRAIN_PREFIX) for dag in airflow.dags if dag.startswith(RETRAIN_PREFIX)}
            return [glance(model, self._recorded(model), airflow) for model in sorted(declared | set(self._newest))]

    def _catch_up(self) -> None:
        standing = self.ledger.entries(kinds=STANDING, after=self._stood)
        # All that was seen before had been written by now, so nothing up to there has to be looked through again.
        self._stood = max([self._stood, self._seen, *(entry.seq for entry in standing)])
        for entry in standing:
            self._standing.setdefault(entry.model, []).append(entry)
        fresh = self.ledger.newest(*NEWEST, after=self._seen)
        self._seen = max([self._seen, *(entry.seq for entry in fresh)])
        for entry in fresh:
            self._newest.setdefault(entry.model, {})[entry.kind] = entry
        self._find_founding([entry for entry in fresh if entry.kind is EntryKind.DEPLOYED])

    def _find_founding(self, deployed: list[LedgerEntry]) -> None:
        wanted: list[str] = []
        for entry in deployed:
            record = record_in(entry)
            if record.epoch == record.champion_since:
                self._founding[entry.model] = entry
            else:
                wanted.append(f"deployed:{entry.model}:{record.champion_since}")
        for entry in self.ledger.keyed(wanted) if wanted else ():
            self._founding[entry.model] = entry

    def _recorded(self, model: str) -> Recorded:
        locked = locks_in(self._standing.get(model, []))
        return Recorded(
            newest=self._newest.get(model, {}),
            founding=self._founding.get(model),
            notes=tuple(f"version {version} is locked: {reason}" for version, reason in sorted(locked.items())),
        )
