"""How long the fleet's page of a thousand models takes: to read, to be answered, and until it is seen in a browser."""

import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.airflow_site import running_site
from tests.e2e.browser import Page, browser
from tests.fleet_ledger import write_fleet
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN, admin_password
from understudy.hooks.ledger.ledger import Ledger
from understudy.overview.airflow_state import Airflow, DagState
from understudy.overview.fleet_reader import FleetReader
from understudy.ui.fleet import Asked, fleet

MODELS, ENTRIES, REPEATS = 1_000, 50, 7
UNSCHEDULED = "hold"
"""A DAG without a schedule: what is written like it, the scheduler leaves alone."""
# The DAGs of these models are in no file: nobody is to find that out before the page was measured.
LEAVE_DAGS_ALONE = {"AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "86400"}
WHEN = """
const [visit] = performance.getEntriesByType("navigation");
const [paint] = performance.getEntriesByName("first-contentful-paint");
if (!paint) return null;
return [
  visit.responseStart - visit.requestStart, paint.startTime,
  performance.timeOrigin + paint.startTime - window.top.performance.timeOrigin,
].map((ms) => ms / 1000);
"""


class Seen(NamedTuple):
    """Hold what one visit took, in seconds."""

    server_cpu: float
    """The API server's processor time meanwhile; a busy machine leaves it as it is."""
    answered: float
    """From the request to the first byte of the answer: what the server needs."""
    painted: float
    """From the navigation to the first paint of the page's content."""
    painted_in_airflow: float
    """The same from the navigation of the window around it."""


def main() -> None:
    """Print tables of seconds; clock and processor differ on a machine with other work."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        names = write_fleet(home / "ledger.db", MODELS, ENTRIES, until=datetime.now(timezone.utc))
        print(f"{MODELS:,} models, {MODELS * ENTRIES:,} entries")
        print_reading(home / "ledger.db", names)
        if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
            print("No browser row: no chromium with its chromedriver is installed.")
            return
        print_seeing(home, names)


def print_reading(ledger: Path, names: Sequence[str]) -> None:
    """Measure the reading alone, without a server around it."""
    airflow = Airflow(dags={dag_id: DagState(dag_id=dag_id) for dag_id in dag_ids(names)})
    reader = FleetReader(Ledger(f"sqlite:///{ledger}"))
    cold = timed(reader, airflow)
    warm = [timed(reader, airflow) for _ in range(REPEATS)]
    print(f"{'read by this process':28} {'clock':>8} {'cpu':>8}")
    print(f"{'first page of a process':28} {cold[0]:8.3f} {cold[1]:8.3f}")
    medians = [statistics.median(one[column] for one in warm) for column in (0, 1)]
    print(f"{'each page after it (median)':28} {medians[0]:8.3f} {medians[1]:8.3f}")


def timed(reader: FleetReader, airflow: Airflow) -> tuple[float, float]:
    """Read one page."""
    clock, processor = time.perf_counter(), time.process_time()
    shown = fleet(reader.glances(airflow), Asked())
    assert shown.total == MODELS
    return time.perf_counter() - clock, time.process_time() - processor


def print_seeing(home: Path, names: Sequence[str]) -> None:
    """Measure the page on the embedded stack: what the server needs, and when a person sees something."""
    with logged_in(home, names) as visitor:
        # Whoever opens Airflow sees its home first, with the icon of our page.
        visitor.page.open("/")
        visitor.page.find("nav, aside, div", "Models")
        alone = [visitor.visit("/understudy/") for _ in range(REPEATS + 1)]
        framed = [visitor.visit("/plugin/models", is_framed=True) for _ in range(REPEATS + 1)]
    print(f"{'seen in headless Chromium':28} {'server cpu':>10} {'answer':>8} {'paint':>8} {'in Airflow':>10}")
    for name, seen in (
        ("first page of the server", alone[0]),
        ("each page after it (median)", medians(alone[1:])),
        ("within Airflow (median)", medians(framed[1:])),
    ):
        row = f"{seen.server_cpu:10.3f} {seen.answered:8.3f} {seen.painted:8.3f} {seen.painted_in_airflow:10.3f}"
        print(f"{name:28} {row}")


class Visitor(NamedTuple):
    """Sit before a browser in which somebody is logged in."""

    page: Page
    url: str
    server: psutil.Process

    def visit(self, path: str, *, is_framed: bool = False) -> Seen:
        """Open the page and read the browser's own clock."""
        self.page.driver.switch_to.default_content()
        self.page.driver.get("about:blank")
        before = cpu_of(self.server)
        self.page.driver.get(self.url + path)
        if is_framed:
            self.page.enter_frame()
        self.page.find("p", f"of {MODELS:,}")
        told = self.page.until(lambda driver: driver.execute_script(WHEN), "the first paint")
        return Seen(cpu_of(self.server) - before, *told)


def cpu_of(server: psutil.Process) -> float:
    """Add up the processor time of a process and of those that it started, in seconds."""
    times = [one.cpu_times() for one in (server, *server.children(recursive=True))]
    return sum(one.user + one.system for one in times)


@contextmanager
def logged_in(home: Path, names: Sequence[str]) -> Iterator[Visitor]:
    """Start an embedded stack that knows the DAGs of all models, and a browser in which somebody is logged in."""
    (home / "models").mkdir()
    layout = Layout(home=home)
    with running_site(home, "process", LEAVE_DAGS_ALONE) as site:
        site.api.wait_for_dag(UNSCHEDULED, 400)
        write_dags(layout.database, names)
        password, _ = admin_password(layout)
        started = json.loads(layout.running.read_text(encoding="utf-8"))["processes"]
        (pid,) = (one["pid"] for one in started if one["name"] == "api-server")
        with browser(site.api.url, site.token(ADMIN, password)) as page:
            yield Visitor(page, site.api.url, psutil.Process(pid))


def write_dags(path: Path, names: Sequence[str]) -> None:
    """Let Airflow's database know two thousand DAGs, which take minutes to be parsed."""
    with closing(sqlite3.connect(path, timeout=60)) as database, database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM dag WHERE dag_id = ?", (UNSCHEDULED,)).fetchone())
        marks = ", ".join(f":{column}" for column in row)
        rows = [{**row, "dag_id": dag_id} for dag_id in dag_ids(names)]
        database.executemany(f"INSERT INTO dag ({', '.join(row)}) VALUES ({marks})", rows)


def dag_ids(names: Sequence[str]) -> list[str]:
    """Name the two DAGs of each model."""
    return [f"{kind}__{name}" for name in names for kind in ("retrain", "monitor")]


def medians(visits: Sequence[Seen]) -> Seen:
    """Give the median of each column."""
    return Seen(*(statistics.median(column) for column in zip(*visits, strict=True)))


if __name__ == "__main__":
    main()
