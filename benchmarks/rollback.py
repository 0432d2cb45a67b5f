"""Measure how fast a bad champion is gone: 50 flips under load, and ``kill -9`` of the champion's process.

Run ``python benchmarks/rollback.py [FLIPS [ROLLBACKS]]``. A client keeps 100 requests/s in flight over 16 connections
while the record flips between two warm versions; a second client asks without pause and notes any answer of the old
version that was asked for after the acknowledgement. Beside it, in the same run, ``mlflow models serve`` is started
anew, which is how it changes its model, and one new version is made ready by each. Then a whole stack is started, with
Airflow, and ``understudy rollback`` and the DAG ``rollback`` take turns, ROLLBACKS times each, under load; 0 leaves
that out.
"""

import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

import httpx  # noqa: E402 - after the path

from benchmarks.serving.load import Client, Plan  # noqa: E402
from benchmarks.serving.models import Served, train  # noqa: E402
from benchmarks.serving.servers import Gateway, gateway_server, mlflow_server  # noqa: E402
from benchmarks.serving.way_back import ENOUGH, Measured, percentile, told, way_back  # noqa: E402
from understudy.contract.words import Change  # noqa: E402

RATE, CONNECTIONS = 100.0, 16


class Watcher(threading.Thread):
    """Ask without pause; note which version answers what was asked after an acknowledgement."""

    def __init__(self, gateway: Gateway, payload: bytes) -> None:
        super().__init__(daemon=True)
        self.url, self.payload = gateway.url + gateway.server.path, payload
        self.ended = threading.Event()
        self.answers: list[tuple[float, str, int]] = []
        """When it was asked, by which version it was answered, with which status."""

    def run(self) -> None:
        """Ask until told to end."""
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self.ended.is_set():
                asked = time.perf_counter()
                answer = client.post(self.url, content=self.payload, headers={"Content-Type": "application/json"})
                version = answer.headers.get("x-understudy-version", "")
                self.answers.append((asked, version, answer.status_code))

    def stale(self, acknowledged: list[tuple[float, int]]) -> int:
        """Count the answers of another version than the one that was acknowledged when they were asked for."""
        count = 0
        for (since, version), until in zip(
            acknowledged, [*(at for at, _ in acknowledged[1:]), float("inf")], strict=True
        ):
            # The next order may be applied before it is acknowledged: what was asked for shortly before is nobody's.
            count += sum(1 for at, said, _ in self.answers if since <= at < until - 0.05 and said != str(version))
        return count


def flips(gateway: Gateway, one: Served, other: Served, count: int) -> tuple[list[float], int, int, float]:
    """Flip under load; return the acknowledgements in ms, stale answers, errors, and the slowest answer in ms."""
    watcher = Watcher(gateway, one.payload(1))
    seconds = 2.0 + count * 0.35
    client = Client(Plan(gateway.server.port, gateway.server.path, CONNECTIONS, seconds, RATE), one.payload(1))
    watcher.start()
    time.sleep(1.5)
    taken, acknowledged = [], []
    for number in range(count):
        champion, previous = (other, one) if number % 2 == 0 else (one, other)
        begun = time.perf_counter()
        gateway.serve(champion.bundle, 2 + number, previous=previous.bundle, change=Change.ROLLBACK)
        at = time.perf_counter()
        taken.append(1000 * (at - begun))
        acknowledged.append((at, champion.bundle.version))
        time.sleep(0.25)
    load = client.result()
    watcher.ended.set()
    watcher.join()
    errors = load.errors + sum(1 for _, _, status in watcher.answers if status != 200)
    return taken, watcher.stale(acknowledged), errors, load.slowest_ms


def kill_champion(gateway: Gateway, model: Served, times: int) -> tuple[int, int, float]:
    """Kill the champion's process under load; return requests, errors, and the slowest answer in ms."""
    seconds = 1.5 + 2.0 * times
    client = Client(Plan(gateway.server.port, gateway.server.path, CONNECTIONS, seconds, RATE), model.payload(1))
    time.sleep(1.2)
    for _ in range(times):
        workers = gateway.status()["workers"]
        assert isinstance(workers, list)
        pids = [worker["pid"] for worker in workers if worker["role"] == "champion" and worker["pid"]]
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
        time.sleep(1.8)
    load = client.result()
    return load.requests, load.errors, load.slowest_ms


def _rows(ways: Measured) -> list[tuple[str, str, str]]:
    command, task = ways.command, ways.task
    return [
        ("understudy rollback: start of the process to 100 % new answers", told(command.until_new),
         f"until it returned: {told(command.until_done)}"),
        ("DAG rollback: start of the task to 100 % new answers", told(task.until_new),
         f"scheduling before it: {told(task.before)}; until it ended: {told(task.until_done)}"),
        ("failed requests meanwhile", f"{ways.errors} of {ways.requests:,}", ""),
    ]  # fmt: skip


def _goals(ways: Measured) -> list[tuple[str, bool]]:
    found = []
    for name, way in (("command", ways.command), ("task", ways.task)):
        middle, late = statistics.median(way.until_new), percentile(way.until_new, 0.95)
        sentence = f"by {name}: median within 2 s, p95 within 5 s: {middle:.2f} s, {late:.2f} s"
        found.append((sentence, middle <= 2 and late <= 5))
    sentence = f"no failed request among {ENOUGH:,}: {ways.errors} of {ways.requests:,}"
    return [*found, (sentence, ways.errors == 0 and ways.requests >= ENOUGH)]


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    rollbacks = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as home, ExitStack() as stack:
        scratch = Path(home)
        one, other, third = (train(scratch / "bundles", "logistic_regression", v) for v in (1, 2, 3))
        gateway = gateway_server("rollback", scratch / "bundles", scratch, stack)
        gateway.serve(one.bundle, 1, previous=other.bundle)
        console.print(f"{count} flips under {RATE:.0f} requests/s")
        taken, stale, errors, slowest = flips(gateway, one, other, count)
        console.print("kill -9 of the champion's process, five times")
        requests, killed_errors, killed_slowest = kill_champion(gateway, one, 5)
        begun = time.perf_counter()
        gateway.serve(third.bundle, count + 2, previous=one.bundle)
        ready_s = time.perf_counter() - begun
        begun = time.perf_counter()
        mlflow_server(third.folder, 1, scratch, stack)
        mlflow_s = time.perf_counter() - begun
        stack.close()
        if rollbacks:
            console.print(f"a stack with Airflow: {rollbacks} rollbacks by command, {rollbacks} by task")
        ways = way_back(scratch / "ways", rollbacks) if rollbacks else None
    ordered = sorted(taken)
    p99 = ordered[round((len(ordered) - 1) * 0.99)]
    faster = 1000 * mlflow_s / statistics.median(taken)
    table = Table(title="Changing what serves")
    for column in ("what", "measured", "beside it, in the same run"):
        table.add_column(column)
    table.add_row("flip to a warm version, acknowledged", f"median {statistics.median(taken):.1f} ms, p99 {p99:.1f} ms",
                  f"mlflow models serve started anew: {mlflow_s:.1f} s, {faster:,.0f} x")  # fmt: skip
    table.add_row("stale answers after it; errors; slowest answer", f"{stale}; {errors}; {slowest:.0f} ms", "")
    table.add_row("champion killed 5 times: failed requests; slowest", f"{killed_errors} of {requests}; {killed_slowest:.0f} ms", "")  # fmt: skip # noqa: E501
    table.add_row("a new version: loaded, verified, warm, serving", f"{ready_s:.2f} s", f"{mlflow_s:.1f} s")
    for row in _rows(ways) if ways else []:
        table.add_row(*row)
    console.print(table)
    goals = [
        (f"acknowledged within 20 ms at p99: {p99:.1f} ms", p99 <= 20),
        (f"no stale answer, no error: {stale}, {errors}", stale == errors == 0),
        (f"at least 400 x faster than starting anew: {faster:,.0f} x", faster >= 400),
        (f"kill -9: no failed request, slowest at most 250 ms: {killed_errors}, {killed_slowest:.0f} ms",
         killed_errors == 0 and killed_slowest <= 250),
        (f"new version ready within 1/8 of MLflow's start: 1/{mlflow_s / ready_s:.1f}", ready_s <= mlflow_s / 8),
        *(_goals(ways) if ways else []),
    ]  # fmt: skip
    for goal, is_met in goals:
        console.print(f"[{'green' if is_met else 'red'}]{'met   ' if is_met else 'missed'}[/] {goal}")


if __name__ == "__main__":
    main()
