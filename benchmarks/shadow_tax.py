"""Measure what a shadow costs the users of the champion: none, a good one, and every kind of bad one.

Run ``python benchmarks/shadow_tax.py [SECONDS [ROUNDS]]``. One gateway per kind of shadow, all with the same champion;
they take turns, in an order that is drawn anew in every round and begins and ends without a shadow, under an open loop
of 60 requests/s over 16 keep-alive connections, with latency counted from the moment at which a request was due. A goal
is judged by the median of the ratios of each round; the row without a shadow compares its two turns of each round, and
so says how noisy the machine was. Afterwards the prediction log of each is read: every request has exactly one row of
the champion, and one of the shadow or one that says why there is none.
"""

import random
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from benchmarks.serving.load import Client, Load, Plan  # noqa: E402 - after the path
from benchmarks.serving.log import Accounts, account  # noqa: E402
from benchmarks.serving.models import train  # noqa: E402
from benchmarks.serving.ratios import ratio_of  # noqa: E402
from benchmarks.serving.servers import gateway_server  # noqa: E402

NONE, GOOD = "none", "good"
HARMS = {
    GOOD: "",
    "hung": "import time; time.sleep(3600)",
    "slow, 0.5 s a frame": "import time; time.sleep(0.5)",
    "dies at every frame": "import os; os._exit(3)",
    "burns CPU, 0.3 s a frame": "import time; end = time.time() + 0.3\n        while time.time() < end: pass",
    "eats 64 MB a frame": "HOARD.append(bytearray(64 << 20))",
    "floods its output": "print('x' * 1_000_000)",
    "raises": "raise RuntimeError('no')",
}
RATE, CONNECTIONS, P99_BUDGET = 60.0, 16, 1.25


def middle(loads: list[Load], field: str) -> float:
    return statistics.median(float(getattr(load, field)) for load in loads)


def round_of(kind: str, scratch: Path, seconds: float) -> tuple[Load, Accounts]:
    """Serve under one kind of shadow for a while; return what users saw and what the log says."""
    bundles = scratch / "bundles"
    champion = train(bundles, "logistic_regression", 1)
    with ExitStack() as stack:
        gateway = gateway_server(kind, bundles, scratch, stack)
        mirror = None if kind == NONE else train(bundles, "logistic_regression", 2, prepare=True, harm=HARMS[kind])
        gateway.serve(champion.bundle, 1, mirror=mirror.bundle if mirror else None)
        plan = Plan(gateway.server.port, gateway.server.path, CONNECTIONS, seconds, RATE)
        load = Client(plan, champion.payload(1)).result()
    return load, account(scratch / f"gateway-{gateway.server.port}" / "log" / "bench")


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    console = Console(width=140)
    kinds = (NONE, *HARMS)
    seen: dict[str, list[Load]] = {kind: [] for kind in kinds}
    accounts: dict[str, Accounts] = {kind: Accounts() for kind in kinds}
    draw = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as home:
        for number in range(rounds):
            for kind in (NONE, *draw.sample(tuple(HARMS), len(HARMS)), NONE):
                console.print(f"round {number + 1} of {rounds}: shadow {kind}")
                scratch = Path(tempfile.mkdtemp(dir=home))
                load, told = round_of(kind, scratch, seconds)
                seen[kind].append(load)
                accounts[kind] = accounts[kind].plus(told)
    table = Table(title=f"Champion under {RATE:.0f} requests/s, {rounds} rounds of {seconds:.0f} s")
    for column in (
        "shadow",
        "p50 ms",
        "p99 ms",
        "against none",
        "slowest ms",
        "user errors",
        "pairs",
        "losses",
        "missing",
    ):
        table.add_column(column, justify="left" if column in ("shadow", "losses") else "right")
    goals = []
    first, last = ([load.p99_ms for load in seen[NONE][turn::2]] for turn in (0, 1))
    without = [statistics.mean(turns) for turns in zip(first, last, strict=True)]
    for kind, loads in seen.items():
        ratio = ratio_of(last, first) if kind == NONE else ratio_of([load.p99_ms for load in loads], without)
        errors = sum(load.errors for load in loads)
        asked = sum(load.requests + CONNECTIONS for load in loads)  # each connection asked once to warm up
        told = accounts[kind]
        missing = abs(asked - told.champion) + (
            abs(asked - told.pairs - sum(told.losses.values())) if kind != NONE else 0
        )
        losses = ", ".join(f"{count} {reason}" for reason, count in sorted(told.losses.items()))
        slowest = max(load.slowest_ms for load in loads)
        numbers = [
            f"{middle(loads, 'p50_ms'):.2f}",
            f"{middle(loads, 'p99_ms'):.1f}",
            str(ratio),
            f"{slowest:.0f}",
        ]
        table.add_row(kind, *numbers, str(errors), str(told.pairs), losses, str(missing))
        if kind != NONE:
            goals.append((f"{kind}: p99 at most {P99_BUDGET} x: {ratio}", ratio.median <= P99_BUDGET))
        goals.append((f"{kind}: no user error, every request accounted for", errors == 0 and missing == 0))
    console.print(table)
    for goal, is_met in goals:
        console.print(f"[{'green' if is_met else 'red'}]{'met   ' if is_met else 'missed'}[/] {goal}")


if __name__ == "__main__":
    main()
