"""What a gateway keeps on disk of each model beside its files and its log."""

from typing import NamedTuple

from understudy.gateway.break_glass import KeptGlasses
from understudy.gateway.canary_lease import KeptOrder
from understudy.gateway.config import GatewayConfig
from understudy.gateway.record_store import RecordStore


class Stores(NamedTuple):
    """Hold the last acknowledged order of each model, and what was taken back by break-glass."""

    records: RecordStore[KeptOrder]
    glasses: RecordStore[KeptGlasses]

    @classmethod
    def at(cls, config: GatewayConfig) -> "Stores":
        """Keep both below a gateway's state."""
        return cls(RecordStore(config.records_dir, KeptOrder), RecordStore(config.glass_dir, KeptGlasses))
