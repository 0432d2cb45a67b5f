"""Measure the prediction log: rows/s, CPU and bytes per row, a day read back, a killed process, a full disk.

One row is a request of 20 numbers by name with one answer and two probabilities. Beside it, in the same run: SQLite
(WAL, a commit for every 100 rows) and lines of JSON with a flush for each.

``python benchmarks/prediction_log.py [--rows N]``
"""

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

from understudy.contract.release import Bundle
from understudy.contract.words import Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.compact import compact
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.log.read import read
from understudy.gateway.log.writer import WINDOW_S

COLUMNS = [f"feature_{at}" for at in range(20)]
BUNDLE = Bundle(
    model="bench",
    version=1,
    model_sha256="a" * 64,
    image_digest="sha256:" + "b" * 64,
    code_commit="c" * 40,
    spec_sha256="d" * 64,
    data_version="e" * 64,
    run="bench",
    reference_data="e" * 64,
)
KILLS = 5
RATE = 500  # requests a second while the process is killed


def rows(count: int) -> list[LogRow]:
    dice, made = random.Random(0), []
    for number in range(count):
        body = orjson.dumps({"dataframe_split": {"columns": COLUMNS, "data": [[dice.gauss(0, 1) for _ in COLUMNS]]}})
        p = dice.random()
        output = orjson.dumps({"predictions": [int(p > 0.5)], "probabilities": [[1 - p, p]]})
        answer = Answer(200, b"", 1, output, 500, 4)
        item = Item(Wire.MLFLOW_JSON, body)
        made.append(
            LogRow(f"{number:032x}", None, time.time_ns(), 1, Role.CHAMPION, BUNDLE, item, answer, None, 100, 900)
        )
    return made


def open_log(folder: Path, *, strict: bool = False) -> PredictionLog:
    return PredictionLog(folder, pii=(), strict=strict, keep_s=1e9, max_bytes=1 << 40)


async def log_default(folder: Path, given: list[LogRow]) -> None:
    log = open_log(folder)
    for at, row in enumerate(given):
        log.append(row)
        if at % 200 == 199:
            await asyncio.sleep(0.001)
    await log.close()
    assert (log.health.written, log.health.lost) == (len(given), 0)


async def log_strict(folder: Path, given: list[LogRow], clients: int) -> None:
    log, waiting = open_log(folder, strict=True), iter(given)

    async def client() -> None:
        for row in waiting:
            on_disk = log.append(row)
            assert on_disk is not None
            await on_disk

    await asyncio.gather(*(client() for _ in range(clients)))
    await log.close()


def with_sqlite(folder: Path, given: list[LogRow]) -> None:
    folder.mkdir(parents=True)
    database = sqlite3.connect(folder / "log.db")
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=normal")
    database.execute("create table log (id text, ts integer, role text, version integer, input blob, output blob)")
    for at, row in enumerate(given):
        assert row.answer is not None
        values = (row.request_id, row.ts_ns, row.role.value, row.bundle.version, row.item.body, row.answer.output)
        database.execute("insert into log values (?, ?, ?, ?, ?, ?)", values)
        if at % 100 == 99:
            database.commit()
    database.commit()
    database.close()


def with_json_lines(folder: Path, given: list[LogRow]) -> None:
    folder.mkdir(parents=True)
    with (folder / "log.jsonl").open("w") as file:
        for row in given:
            assert row.answer is not None
            facts = {"id": row.request_id, "ts": row.ts_ns, "role": row.role.value, **row.bundle.model_dump()}
            file.write(
                json.dumps({**facts, "input": json.loads(row.item.body), "output": json.loads(row.answer.output)})
            )
            file.write("\n")
            file.flush()


def measured(work: Callable[[], object], count: int) -> tuple[float, float]:
    """Give rows a second and microseconds of CPU a row."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e6


def read_all(folder: Path, count: int, features: bool) -> None:
    found = read(folder, features=features)
    assert found.height == count


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def serve_until_killed(folder: Path, *, strict: bool) -> None:
    log, given = open_log(folder, strict=strict), rows(10_000)
    begun = time.perf_counter()
    for at, row in enumerate(given):
        on_disk = log.append(row)
        if on_disk is not None:
            await on_disk
        sys.stdout.write(f"{at}\n")
        sys.stdout.flush()
        await asyncio.sleep(max(0.0, begun + at / RATE - time.perf_counter()))


def killed(folder: Path, *, strict: bool) -> tuple[int, int]:
    """Give how many were answered and how many of those are not in the log."""
    mode = "strict" if strict else "default"
    child = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(folder), mode], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    answered = [int(child.stdout.readline()) for _ in range(RATE)]
    child.send_signal(signal.SIGKILL)
    answered += [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait()
    found = set(read(folder, features=False)["request_id"].to_list())
    return len(answered), sum(f"{at:032x}" not in found for at in answered)


async def fill_the_disk(folder: Path) -> dict[str, float]:
    """Log for a second on a disk that is full for half of it; a limit on file sizes stands for the full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log, given, slowest, flagged = open_log(folder), rows(3_000), 0.0, 0
    free = resource.getrlimit(resource.RLIMIT_FSIZE)
    for at, row in enumerate(given):
        if at in {1_000, 2_000}:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, free[1]) if at == 1_000 else free)
        begun = time.perf_counter()
        log.append(row)
        slowest = max(slowest, time.perf_counter() - begun)
        flagged += log.health.problem is not None
        await asyncio.sleep(0.001)
    await log.close()
    return {"slowest_us": slowest * 1e6, "flagged": flagged, **log.health.model_dump(include={"written", "lost"})}


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    count = parser.parse_args().rows
    console, goals = Console(width=120), []
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as scratch:
        home, given = Path(scratch), rows(count)
        writing = Table(title=f"Writing {count:,} rows of {len(given[0].item.body)} bytes")
        for column in ("way", "rows/s", "CPU us/row", "bytes/row"):
            writing.add_column(column)
        few = given[:5_000]
        ways: list[tuple[str, list[LogRow], Callable[[Path, list[LogRow]], None]]] = [
            ("default: a group each 50 ms, fsync", given, lambda to, what: asyncio.run(log_default(to, what))),
            ("strict, 8 clients", few, lambda to, what: asyncio.run(log_strict(to, what, 8))),
            ("strict, 64 clients", few, lambda to, what: asyncio.run(log_strict(to, what, 64))),
            ("SQLite WAL, commit for each 100", given, with_sqlite),
            ("json.dumps and flush for each", given, with_json_lines),
        ]
        for at, (name, what, work) in enumerate(ways):
            folder = home / str(at)
            rate, cpu = measured(lambda work=work, to=folder, what=what: work(to, what), len(what))  # type: ignore[misc]
            writing.add_row(name, f"{rate:,.0f}", f"{cpu:.1f}", f"{size_of(folder) / len(what):,.0f}")
        console.print(writing)

        read(home / "none")  # imports what reading needs
        reading = Table(title=f"Reading a day of {count:,} rows back")
        for column in ("from", "what", "rows/s", "CPU us/row", "bytes/row"):
            reading.add_column(column)
        raw = size_of(home / "0")
        for place in ("segments", "Parquet"):
            for told, features in (("answers only", False), ("with all features", True)):
                rate, cpu = measured(lambda features=features: read_all(home / "0", count, features), count)  # type: ignore[misc]
                size = size_of(home / "0") / count
                reading.add_row(place, told, f"{rate:,.0f}", f"{cpu:.1f}", f"{size:,.0f}")
            if place == "segments":
                compaction = measured(lambda: compact(home / "0"), count)
        console.print(reading)
        smaller = raw / size_of(home / "0")
        console.print(
            f"Compaction: {compaction[0]:,.0f} rows/s, {compaction[1]:.1f} us of CPU a row, {smaller:.1f} times smaller"
        )

        lost = {
            mode: [killed(home / f"{mode}-{at}", strict=mode == "strict") for at in range(KILLS)]
            for mode in ("strict", "default")
        }
        full = json.loads(
            subprocess.run(
                [sys.executable, __file__, "--fill", str(home / "full")], stdout=subprocess.PIPE, check=True
            ).stdout
        )
    dying = Table(title=f"kill -9 at {RATE} requests/s, {KILLS} times")
    for column in ("mode", "answered", "of them not in the log", "worst, in ms of traffic"):
        dying.add_column(column)
    for mode, runs in lost.items():
        worst = max(gone for _, gone in runs)
        total, gone = (sum(run[at] for run in runs) for at in (0, 1))
        dying.add_row(mode, f"{total:,}", f"{gone:,}", f"{worst / RATE * 1000:.0f}")
    console.print(dying)
    console.print(
        f"Full disk for 1,000 of 3,000 requests: {full['written']:,} in the log, {full['lost']:,} lost and counted; "
        f"the flag was up at {full['flagged']:,}; slowest append {full['slowest_us']:.0f} us"
    )
    window = [gone / RATE for _, gone in lost["default"]]
    goals = [
        ("strict loses nothing that was answered", all(gone == 0 for _, gone in lost["strict"])),
        (
            f"default loses about its window of {WINDOW_S * 1000:.0f} ms: median "
            f"{statistics.median(window) * 1000:.0f} ms, at most 1 s",
            max(window) <= 1.0,
        ),
        ("a full disk stops no request, and what is lost is counted", full["written"] + full["lost"] == 3_000),
        ("and the flag is raised", full["flagged"] > 0),
    ]
    for goal, is_met in goals:
        console.print(f"[{'green' if is_met else 'red'}]{'met   ' if is_met else 'missed'}[/] {goal}")


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve_until_killed(Path(sys.argv[2]), strict=sys.argv[3] == "strict"))
    elif sys.argv[1:2] == ["--fill"]:
        json.dump(asyncio.run(fill_the_disk(Path(sys.argv[2]))), sys.stdout)
    else:
        main()
