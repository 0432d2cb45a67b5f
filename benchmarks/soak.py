"""Let a gateway run under steady load and see whether it takes memory, files or threads, or loses anything.

Run ``python benchmarks/soak.py [MINUTES]``; 15 by default, a day is 1440. A client asks 40 times a second over 16
connections; all of it is mirrored and logged, and labels arrive. Every 10 s the record flips between two warm versions,
and every twelfth flip rehearses a version that has to be loaded anew, so that processes come and go as they do in
months. Meanwhile the memory of the gateway and of the processes that live all along (proportional set size, so that
shared pages count once), open files, threads and the log's segments are counted every 5 s.

The slope is that of a line through the means of ten equal pieces of the time after the first fifth, in which caches
fill; its interval covers 95% where those means scatter independently. A slope whose interval lies above nothing is
growth, and the longer the soak the smaller the growth that it can tell. After ten minutes the gateway starts the
processes that compact its log; a soak should last twelve, or less than ten.
"""

import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

import httpx  # noqa: E402 - after the path
import psutil  # noqa: E402

from benchmarks.serving.load import Client, Plan  # noqa: E402
from benchmarks.serving.models import Served, train  # noqa: E402
from benchmarks.serving.servers import Gateway, gateway_server  # noqa: E402
from understudy.contract.words import Change  # noqa: E402
from understudy.gateway.log.read import read  # noqa: E402

RATE, CONNECTIONS, SAMPLE_S, FLIP_S, FRESH_FLIPS = 40.0, 16, 5.0, 10.0, 12
WARM_UP, PIECES = 0.2, 10
LEAK_MB_PER_H = 2.0
"""What a gateway may not take for certain: the interval must reach below it. In a week it would be 340 MB."""
CONFIDENCE = 0.95


class Sample(NamedTuple):
    """Hold what was counted at one moment."""

    at_s: float
    gateway_mb: float
    workers_mb: float
    """Of the two versions that flip: their processes live as long as the gateway does."""
    files: int
    threads: int
    processes: int
    segments: int
    log_mb: float


class Slope(NamedTuple):
    """Hold by how much something grows in an hour, and the interval for it."""

    per_h: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it as the table shows it."""
        return f"{self.per_h:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


class Soak:
    """Flip, label and count while a client asks."""

    def __init__(self, gateway: Gateway, log: Path, versions: list[Served]) -> None:
        self.gateway, self.log = gateway, log
        self.one, self.other, *self.rehearsed = versions
        self.epoch, self.flips = 1, 0
        self.samples: list[Sample] = []
        self.failed_orders: list[str] = []

    def begin(self) -> None:
        """Serve the first version, with the second warm beside it and the third in rehearsal."""
        self.gateway.serve(self.one.bundle, 1, previous=self.other.bundle, mirror=self.rehearsed[0].bundle)

    def run(self, seconds: float) -> None:
        """Go on for a while."""
        begun = time.monotonic()
        flip_at = begun + FLIP_S
        while (now := time.monotonic()) < begun + seconds:
            self.samples.append(self._count(now - begun))
            if now >= flip_at:
                flip_at = now + FLIP_S
                self._flip()
                self._label()
            time.sleep(max(0.0, begun + len(self.samples) * SAMPLE_S - time.monotonic()))

    def _flip(self) -> None:
        self.epoch += 1
        self.flips += 1
        champion, previous = (self.other, self.one) if self.flips % 2 else (self.one, self.other)
        fresh = self.flips // FRESH_FLIPS
        mirror = self.rehearsed[fresh % len(self.rehearsed)]
        change = Change.MIRROR_STARTED if self.flips % FRESH_FLIPS == 0 else Change.ROLLBACK
        try:
            self.gateway.serve(
                champion.bundle, self.epoch, previous=previous.bundle, mirror=mirror.bundle, change=change
            )
        except (RuntimeError, httpx.HTTPError) as refused:
            self.failed_orders.append(str(refused))

    def _label(self) -> None:
        """Say of one request of our own what was true, as callers do."""
        head = {"Content-Type": "application/json"}
        answer = httpx.post(
            self.gateway.url + self.gateway.server.path, content=self.one.payload(1), headers=head, trust_env=False
        )
        named = answer.headers.get("x-understudy-request-id", "")
        labels = {"labels": [{"request_id": named, "row": 0, "label": 1}]}
        httpx.post(f"{self.gateway.url}/models/bench/labels", json=labels, trust_env=False).raise_for_status()

    def _count(self, at_s: float) -> Sample:
        process = self.gateway.server.process
        pids = {
            worker["pid"]
            for worker in self.gateway.status()["workers"]  # type: ignore[attr-defined]
            if worker["version"] in {self.one.bundle.version, self.other.bundle.version}
        }
        workers = 0.0
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                workers += psutil.Process(pid).memory_full_info().pss / 1e6
        segments = list(self.log.glob("segments/*/*"))
        return Sample(
            at_s=at_s,
            gateway_mb=process.memory_full_info().pss / 1e6,
            workers_mb=workers,
            files=process.num_fds(),
            threads=process.num_threads(),
            processes=len(process.children(recursive=True)),
            segments=len(segments),
            log_mb=sum(path.stat().st_size for path in self.log.rglob("*") if path.is_file()) / 1e6,
        )


def slope_of(samples: list[Sample], field: str) -> Slope:
    """Fit a line through the means of equal pieces of the time after the warm-up."""
    import numpy as np
    from scipy import stats

    first = WARM_UP * samples[-1].at_s
    late = [(sample.at_s / 3600, float(getattr(sample, field))) for sample in samples if sample.at_s >= first]
    hours, values = (
        [float(np.mean(piece)) for piece in np.array_split(column, PIECES)] for column in zip(*late, strict=True)
    )
    fit = stats.linregress(hours, values)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, PIECES - 2) * fit.stderr)
    return Slope(float(fit.slope), float(fit.slope) - reach, float(fit.slope) + reach)


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as home, ExitStack() as stack:
        scratch = Path(home)
        bundles = scratch / "bundles"
        versions = [train(bundles, "logistic_regression", version) for version in range(1, 5)]
        gateway = gateway_server("soak", bundles, scratch, stack)
        log = scratch / f"gateway-{gateway.server.port}" / "log" / "bench"
        soak = Soak(gateway, log, versions)
        soak.begin()
        plan = Plan(gateway.server.port, gateway.server.path, CONNECTIONS, minutes * 60, RATE)
        client = Client(plan, versions[0].payload(1))
        soak.run(minutes * 60)
        load = client.result()
        soak.samples.append(soak._count(minutes * 60))
        health = httpx.get(f"{gateway.url}/health", trust_env=False).json()["models"]["bench"]
        asked = load.requests + CONNECTIONS + soak.flips
        # What was answered last is on disk within a second.
        time.sleep(2.0)
        rows = read(log, features=False)
        seen = rows.filter(rows["role"].is_in(["champion", "standby"]))["request_id"].n_unique()
        both = rows.filter(rows["role"] == "shadow")["request_id"].n_unique()

    first, last = soak.samples[round(WARM_UP * len(soak.samples))], soak.samples[-1]
    table = Table(
        title=f"{minutes:g} minutes at {RATE:.0f} requests/s, {soak.flips} flips, everything mirrored and logged"
    )
    for column in ("", "start", "after warm-up", "end", "per hour (95% interval)"):
        table.add_column(column, justify="right" if column else "left")
    slopes = {field: slope_of(soak.samples, field) for field in ("gateway_mb", "workers_mb")}
    for name, field in (
        ("gateway, MB", "gateway_mb"),
        ("two scoring processes, MB", "workers_mb"),
        ("open files of the gateway", "files"),
        ("threads of the gateway", "threads"),
        ("processes of the gateway", "processes"),
        ("files in segments/", "segments"),
        ("log on disk, MB", "log_mb"),
    ):
        numbers = [f"{getattr(sample, field):.1f}".removesuffix(".0") for sample in (soak.samples[0], first, last)]
        table.add_row(name, *numbers, str(slopes.get(field, "")))
    console.print(table)
    console.print(
        f"{load.requests} requests, {load.errors} errors, p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms; "
        f"logged: {seen} of {asked} answers, {both} of {asked} copies or why there is none; "
        f"rows lost {health['log']['lost']}; refused orders {len(soak.failed_orders)}"
    )
    goals = [
        ("no request failed, no order was refused", not load.errors and not soak.failed_orders),
        ("answered = logged, and each has a copy or a reason", asked == seen == both and not health["log"]["lost"]),
        ("no file, thread or process is left open", all(
            getattr(last, field) <= max(getattr(one, field) for one in soak.samples[: 9 * len(soak.samples) // 10])
            for field in ("files", "threads", "processes")
        )),
        *(
            (f"{what} do not certainly take {LEAK_MB_PER_H:g} MB/h more", slopes[field].low < LEAK_MB_PER_H)
            for what, field in (("the gateway's pages", "gateway_mb"), ("the scoring processes' pages", "workers_mb"))
        ),
    ]  # fmt: skip
    for goal, is_met in goals:
        console.print(f"[{'green' if is_met else 'red'}]{'met   ' if is_met else 'missed'}[/] {goal}")


if __name__ == "__main__":
    main()
