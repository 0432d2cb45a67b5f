"""How long the fleet's page takes to read: a thousand models with fifty ledger entries each, cold and warm."""

import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fleet_ledger import write_fleet
from understudy.hooks.ledger import Ledger
from understudy.ui.airflow_state import Airflow, DagState
from understudy.ui.fleet import Asked, fleet
from understudy.ui.fleet_reader import FleetReader

MODELS, ENTRIES, REPEATS = 1_000, 50, 7


def main() -> None:
    """Print a table of seconds, of the clock and of the processor; the two differ on a machine with other work."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        names = write_fleet(path, MODELS, ENTRIES, until=datetime.now(timezone.utc))
        airflow = Airflow(dags={f"retrain__{name}": DagState(dag_id=f"retrain__{name}") for name in names})
        reader = FleetReader(Ledger(f"sqlite:///{path}"))
        cold = timed(reader, airflow)
        warm = [timed(reader, airflow) for _ in range(REPEATS)]
    print(f"{MODELS:,} models, {MODELS * ENTRIES:,} entries")
    print(f"{'':28} {'clock s':>8} {'cpu s':>8}")
    print(f"{'first page of a process':28} {cold[0]:8.3f} {cold[1]:8.3f}")
    medians = [statistics.median(one[column] for one in warm) for column in (0, 1)]
    print(f"{'each page after it (median)':28} {medians[0]:8.3f} {medians[1]:8.3f}")


def timed(reader: FleetReader, airflow: Airflow) -> tuple[float, float]:
    """Read one page."""
    clock, processor = time.perf_counter(), time.process_time()
    shown = fleet(reader.glances(airflow), Asked())
    assert shown.total == MODELS
    return time.perf_counter() - clock, time.process_time() - processor


if __name__ == "__main__":
    main()
