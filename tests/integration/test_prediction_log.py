"""The prediction log against the world: killed processes, readers and compaction beside the writer."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from tests.integration.log_bundle import a_bundle
from understudy.contract.words import Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.compact import compact
from understudy.gateway.log.prediction_log import PredictionLog
from understudy.gateway.log.read import read, read_log
from understudy.gateway.log.segment import segments_in

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0

# What a gateway does with its log, in a process that can be killed.
KILLED = """
import asyncio, os, sys, time
from pathlib import Path
from understudy.contract.release import Bundle
from understudy.contract.words import MlTask, Role
from understudy.gateway.exchange import Answer, Item, LogRow, Wire
from understudy.gateway.log.prediction_log import PredictionLog

BUNDLE = Bundle(model="m", version=1, model_sha256="a", image_digest="b", code_commit="c", spec_sha256="d",
                data_version="e", run="r", reference_data="e")

def row(number):
    answer = Answer(200, b"", 1, b'{"predictions":[%d],"probabilities":null}' % number, 1, 1)
    item = Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
    return LogRow(f"r{number}", None, time.time_ns(), 1, Role.CHAMPION, BUNDLE, item, answer, None, 1, 1)

def log(strict):
    return PredictionLog(Path(sys.argv[1]), pii=(), strict=strict, keep_s=1e7, max_bytes=1 << 30)

async def strict():
    kept, number = log(True), 0
    while True:
        waiting = [(n, kept.append(row(n))) for n in range(number, number + 5)]
        for n, future in waiting:
            await future
            print(n, flush=True)
        number += 5

async def default():
    kept = log(False)
    for number in range(300):
        kept.append(row(number))
    while kept.health.written < 300:
        await asyncio.sleep(0.01)
    for number in range(300, 305):
        kept.append(row(number))
    os.kill(os.getpid(), 9)

async def measuring():
    from datetime import datetime, timezone
    from understudy.contract.serving import RehearsalQuery
    from understudy.gateway.log import apart
    from understudy.gateway.log.evidence import measure
    query = RehearsalQuery(champion_version=1, mirror_version=2, since=datetime.now(timezone.utc), block_s=60)
    await measure(Path(sys.argv[1]), "g", "m", MlTask.BINARY, query, {})
    print(*apart.POOL.get()._processes, flush=True)
    await asyncio.sleep(3600)

if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[2]]())
"""


def start(tmp_path: Path, what: str) -> "subprocess.Popen[str]":
    script = tmp_path / "gateway.py"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "plugins")}
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "m"), what], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_strict_loses_nothing_that_was_acknowledged_when_its_process_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, "strict") as gateway:
        assert gateway.stdout is not None
        acknowledged = [int(gateway.stdout.readline()) for _ in range(200)]
        gateway.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in gateway.stdout if line.endswith("\n")]
    log = read_log(tmp_path / "m")
    assert set(acknowledged) <= set(log.rows["prediction"].to_list())
    assert log.accounts.damaged == 0


def test_what_was_written_outlives_its_process_and_only_the_window_is_lost(tmp_path: Path) -> None:
    with start(tmp_path, "default") as gateway:
        gateway.wait(PATIENCE_S)
    found = sorted(read(tmp_path / "m")["prediction"].to_list())
    assert found[:300] == list(range(300))
    assert found == list(range(len(found)))


def test_a_dead_writers_segment_is_compacted(tmp_path: Path) -> None:
    with start(tmp_path, "default") as gateway:
        gateway.wait(PATIENCE_S)
    (path,) = segments_in(tmp_path / "m" / "segments")
    os.truncate(path, path.stat().st_size - 10)
    done = compact(tmp_path / "m")
    assert (done.segments, done.damaged) == (1, 1)
    assert read(tmp_path / "m").height == done.rows >= 299


def test_the_process_that_reads_the_log_ends_with_the_gateway(tmp_path: Path) -> None:
    with start(tmp_path, "measuring") as gateway:
        assert gateway.stdout is not None
        reader = psutil.Process(int(gateway.stdout.readline()))
        gateway.send_signal(signal.SIGKILL)
        reader.wait(PATIENCE_S)


def a_row(number: int) -> LogRow:
    answer = Answer(200, b"", 1, b'{"predictions":[%d],"probabilities":null}' % number, 1, 1)
    item = Item(Wire.MLFLOW_JSON, b'{"inputs":{"x":[1.5]}}')
    return LogRow(f"r{number}", None, time.time_ns(), 1, Role.CHAMPION, a_bundle("a"), item, answer, None, 1, 1)


class Onlookers:
    """Compact and read a log for as long as another writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged = self.looks = 0
        self.wrong: list[str] = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._compact, self._read)]

    def __enter__(self) -> "Onlookers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _compact(self) -> None:
        while not self._is_over.is_set():
            compact(self.folder)

    def _read(self) -> None:
        while not self._is_over.is_set():
            known = self.acknowledged
            seen = read(self.folder)["prediction"].to_list()
            if len(seen) != len(set(seen)):
                self.wrong.append("a row was seen twice")
            if not set(range(known)) <= set(seen):
                self.wrong.append("a row was not seen")
            self.looks += 1


def test_a_reader_sees_each_row_once_while_it_is_written_and_compacted(tmp_path: Path) -> None:
    async def writing(others: Onlookers) -> None:
        log = PredictionLog(tmp_path, pii=(), strict=True, keep_s=1e7, max_bytes=1)  # the smallest segments
        log._writer._max_bytes = 1 << 30
        end = time.monotonic() + PATIENCE_S
        while others.looks < 5 or others.acknowledged < 1_500:
            assert time.monotonic() < end, f"the log was read {others.looks} times"
            first = others.acknowledged
            for row in [log.append(a_row(first + more)) for more in range(10)]:
                assert row is not None
                await row
            others.acknowledged = first + 10
        await log.close()

    with Onlookers(tmp_path) as others:
        asyncio.run(writing(others))
    assert others.wrong == []
    assert read(tmp_path)["prediction"].sort().to_list() == list(range(others.acknowledged))
