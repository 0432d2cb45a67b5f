"""Measure serving: our gateway, ``mlflow models serve``, a bare uvicorn and the model's own ``predict``, side by side.

Run ``python benchmarks/gateway.py [SECONDS [ROUNDS [MODELS]]]``. For each model all servers are up at once and take
turns, in an order that is drawn anew in every round, on loopback; a client in a process of its own keeps 1, 8 or 32
connections busy. Shown are medians over the rounds; a goal is judged by the median of the ratios of each round, and the
interval behind it says how noisy the machine was (from five rounds on, 90 %). What the log costs is little beside that
noise, so that a gateway with its log and one without take some more turns of their own. CPU is user and system time of
the whole process tree of a server, per request; memory is its proportional set size. LitServe joins where it is
installed. ``mlflow models serve`` knows no ``prepare``, so that it refuses every request of that contest: its row there
shows what a refusal costs.
"""

import importlib.util
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from benchmarks.serving.litserve import litserve_server  # noqa: E402 - after the path
from benchmarks.serving.load import Client, Load, Plan  # noqa: E402
from benchmarks.serving.models import Served, train  # noqa: E402
from benchmarks.serving.ratios import Ratio, ratio_of  # noqa: E402
from benchmarks.serving.servers import Server, floor_server, gateway_server, mlflow_server  # noqa: E402

ALONE, SHADOWED = "our gateway, log on", "our gateway, 100 % shadow and log on"
LOG_ROUNDS = 8
MLFLOW = "mlflow models serve, 1 worker"
GOALS = {"logistic_regression": (20, 15), "hist_gradient_boosting": (12, 12), "random_forest": (5, 4)}
"""By how much our throughput must be higher, and our p99 lower, than MLflow's at 8 connections with shadow and log."""


class Case(NamedTuple):
    """Name a load: how many connections, how many rows in a request."""

    connections: int
    rows: int


class Seen(NamedTuple):
    """Hold one measurement."""

    load: Load
    cpu_us: float
    memory_mb: float


CONTESTS = (
    ("logistic_regression", False, False),
    ("hist_gradient_boosting", False, False),
    ("random_forest", False, False),
    ("hist_gradient_boosting", True, False),
    ("logistic_regression", False, True),
)
"""The estimator, whether there are categories, and whether the team's own ``prepare`` code runs."""
Seens = dict[tuple[str, Case], list[Seen]]
CASES = (Case(1, 1), Case(8, 1), Case(32, 1), Case(8, 100))


def measure(server: Server, case: Case, payload: bytes, seconds: float) -> Seen:
    """Load one server and count what that cost it."""
    before = server.cost()
    load = Client(Plan(server.port, server.path, case.connections, seconds), payload).result()
    after = server.cost()
    return Seen(load, 1e6 * (after.cpu_s - before.cpu_s) / max(1, load.requests), after.memory_bytes / 1e6)


def raw_predict_ms(model: Served) -> float:
    """Time the bare model's answer to one row, in this process."""
    times = []
    for _ in range(60):
        begun = time.perf_counter()
        model.predict()
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def contest(model: Served, challenger: Served, scratch: Path, seconds: float, rounds: int) -> Seens:
    """Let all servers answer for one model."""
    seen: Seens = {}
    draw = random.Random(0)
    with ExitStack() as stack:
        bundles = model.folder.parents[1]
        gateways = [gateway_server(name, bundles, scratch, stack) for name in (ALONE, SHADOWED)]
        gateways[0].serve(model.bundle, 1)
        gateways[1].serve(model.bundle, 1, mirror=challenger.bundle)
        servers = [gateway.server for gateway in gateways]
        servers += [mlflow_server(model.folder, workers, scratch, stack) for workers in (1, 2)]
        servers.append(floor_server(scratch, stack))
        if importlib.util.find_spec("litserve"):
            servers.append(litserve_server(model.folder, scratch, stack))
        for _ in range(rounds):
            for case in CASES:
                payload = model.payload(case.rows)
                for server in draw.sample(servers, len(servers)):
                    seen.setdefault((server.name, case), []).append(measure(server, case, payload, seconds))
    return seen


def log_cost(model: Served, scratch: Path, seconds: float) -> Ratio:
    """Compare the CPU per request of a gateway with its log and of one without, at 8 connections."""
    cpu_us: dict[bool, list[float]] = {True: [], False: []}
    draw = random.Random(0)
    with ExitStack() as stack:
        bundles = model.folder.parents[1]
        gateways = {logs: gateway_server(ALONE, bundles, scratch, stack, logs=logs) for logs in cpu_us}
        for gateway in gateways.values():
            gateway.serve(model.bundle, 1)
        for _ in range(LOG_ROUNDS):
            for logs in draw.sample(tuple(gateways), 2):
                seen = measure(gateways[logs].server, Case(8, 1), model.payload(1), seconds)
                cpu_us[logs].append(seen.cpu_us)
    return ratio_of(cpu_us[True], cpu_us[False])


def middle(found: list[Seen], read: str) -> float:
    """Give the median over the rounds of a field of the load, or of the cost."""
    return statistics.median(rounds_of(found, read))


def show(model: Served, seen: Seens, raw_ms: float) -> list[tuple[str, bool]]:
    """Print a model's table and return its goals."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{model.name}: raw predict of one row {raw_ms:.2f} ms")
    for column in ("connections", "rows", "server", "requests/s", "p50 ms", "p99 ms", "CPU us/request", "MB", "errors"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for case in CASES:
        for name in dict.fromkeys(name for name, _ in seen):
            found = seen[name, case]
            numbers = [
                f"{middle(found, read):{form}}"
                for read, form in (
                    ("rate", ",.0f"),
                    ("p50_ms", ".2f"),
                    ("p99_ms", ".1f"),
                    ("cpu_us", ",.0f"),
                    ("memory_mb", ".0f"),
                )
            ]
            table.add_row(str(case.connections), str(case.rows), name, *numbers, str(sum(s.load.errors for s in found)))
        table.add_section()
    Console(width=140).print(table)
    return goals(model, seen, raw_ms)


def rounds_of(found: list[Seen], read: str) -> list[float]:
    """Give a field of the load, or of the cost, round by round."""
    return [float(getattr(s, read) if hasattr(s, read) else getattr(s.load, read)) for s in found]


def goals(model: Served, seen: Seens, raw_ms: float) -> list[tuple[str, bool]]:
    """Compare with what was promised, by the medians of the ratios of each round."""
    at_8, at_1 = Case(8, 1), Case(1, 1)
    ours, theirs = seen[SHADOWED, at_8], seen[MLFLOW, at_8]
    more = ratio_of(rounds_of(ours, "rate"), rounds_of(theirs, "rate"))
    shorter = ratio_of(rounds_of(theirs, "p99_ms"), rounds_of(ours, "p99_ms"))
    limits = [raw_ms + floor_ms for floor_ms in rounds_of(seen["bare uvicorn, fixed answer", at_1], "p50_ms")]
    near = ratio_of(rounds_of(seen[ALONE, at_1], "p50_ms"), limits)
    machine = ratio_of(rounds_of(ours, "cpu_us"), rounds_of(seen[ALONE, at_8], "cpu_us"))
    told = [
        (f"{model.name}: p50 at 1 connection at most 1.4 x (raw predict + bare uvicorn): {near}", near.median <= 1.4),
        (f"{model.name}: CPU of a 100 % shadow at most 1.6 x: {machine}", machine.median <= 1.6),
    ]
    if model.name in GOALS:
        rate, p99 = GOALS[model.name]
        told.insert(0, (f"{model.name}: throughput at least {rate} x MLflow's: {more}", more.median >= rate))
        told.insert(1, (f"{model.name}: MLflow's p99 at least {p99} x ours: {shorter}", shorter.median >= p99))
    return told


def main() -> None:
    from rich.console import Console

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    models = int(sys.argv[3]) if len(sys.argv) > 3 else len(CONTESTS)
    console = Console(width=120)
    told: list[tuple[str, bool]] = []
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as home:
        for number, (estimator, texts, prepare) in enumerate(CONTESTS[:models]):
            scratch = Path(home) / str(number)
            champion = train(scratch / "bundles", estimator, 1, texts=texts, prepare=prepare)
            challenger = train(scratch / "bundles", estimator, 2, texts=texts, prepare=prepare)
            console.print(f"{champion.name}: starting the servers")
            told += show(champion, contest(champion, challenger, scratch, seconds, rounds), raw_predict_ms(champion))
            log = log_cost(champion, scratch, seconds)
            told.append((f"{champion.name}: CPU with the log at most 1.15 x that without: {log}", log.median <= 1.15))
    for goal, is_met in told:
        console.print(f"[{'green' if is_met else 'red'}]{'met   ' if is_met else 'missed'}[/] {goal}")


if __name__ == "__main__":
    main()
