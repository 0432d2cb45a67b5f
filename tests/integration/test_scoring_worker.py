"""Scoring processes: real forks of a real nursery, with models that do what nobody should let them do."""

import asyncio
import importlib.util
import json
import os
import py_compile
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import psutil
import pytest

from understudy.contract.estimators import estimators_for
from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.contract.words import Confinement, MlTask
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import Worker, WorkerDied, WorkerRefused, WorkerStart
from understudy.stages.features import Features
from understudy.stages.load_code import load_function
from understudy.stages.model_files import save_model
from understudy.stages.pipeline import build_pipeline
from understudy.stages.scorer import ModelFacts, Scorer

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
PATIENCE_S = 60.0
MIB = 1 << 20
NO_ERROR, ERROR = 0.0, 1.0

HOSTILE = '''
import ctypes, os, signal, socket, subprocess, sys, time
import numpy as np


class Model:
    """Do what the first row's column ``deed`` says, and answer 1 where the system refused it."""

    def predict(self, typed):
        deed, detail = int(typed["deed"].iloc[0]), int(typed["detail"].iloc[0])
        try:
            getattr(self, DEEDS[deed])(detail)
        except (OSError, KeyError):
            return np.ones(len(typed))
        return np.zeros(len(typed))

    def nothing(self, detail): pass
    def die(self, detail): os.kill(os.getpid(), signal.SIGKILL)
    def take_memory(self, detail): np.ones(detail << 20, dtype=np.uint8).sum()
    def flood(self, detail):
        for stream in (sys.stdout, sys.stderr):
            stream.write("x" * (detail << 20))
            stream.flush()
    def connect(self, detail): socket.create_connection(("127.0.0.1", detail), 5).close()
    def listen(self, detail): socket.create_server(("127.0.0.1", 0)).close()
    def write(self, detail): open(os.path.join("/tmp", f"understudy-worker-{detail}"), "w").close()
    def remove(self, detail): os.unlink(os.path.join("/tmp", f"understudy-worker-{detail}"))
    def run(self, detail): subprocess.run(["true"], check=True)
    def signal(self, detail): os.kill(detail, 0)
    def sleep(self, detail): time.sleep(detail / 1000)
    def spin(self, detail):
        while True: sum(range(1000))
    def babble(self, detail):
        for fd in range(3, 64):
            try: os.write(fd, b"\\xff" * 64)
            except OSError: pass
    def look_for_secret(self, detail): os.environ["A_SECRET_OF_THE_GATEWAY"]


DEEDS = [name for name in vars(Model) if not name.startswith("_") and name != "predict"]


def make():
    return Model()
'''
DEEDS = re.findall(r"^    def (\w+)\(self, detail\)", HOSTILE, re.MULTILINE)


@pytest.fixture(scope="module")
def run() -> Iterator[Run[Any]]:
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.close()


@pytest.fixture(scope="module")
def nursery(run: Run[Any]) -> Iterator[Nursery]:
    nursery = Nursery()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_SECRET_OF_THE_GATEWAY", "hunter2")
        run(nursery.open())
    yield nursery
    run(nursery.close())


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(1)
    rows = pd.DataFrame(random.normal(size=(300, 3)), columns=["a", "b", "c"])
    labels = (rows["a"] + rows["b"] > 0).astype(int).to_numpy()
    rows.loc[1, "c"] = np.nan
    features = Features(names=("a", "b", "c"))
    model = build_pipeline(estimators_for(MlTask.BINARY)["logistic_regression"], features, {}, 0).fit(rows, labels)
    return saved(tmp_path_factory.mktemp("honest") / "1", model, MlTask.BINARY, rows, classes=(0, 1))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code = tmp_path_factory.mktemp("code")
    (code / "trainer.py").write_text(HOSTILE, encoding="utf-8")
    rows = pd.DataFrame({"deed": np.zeros(20), "detail": np.zeros(20)})
    model = load_function(code, "trainer.py:make")()
    return saved(tmp_path_factory.mktemp("hostile") / "1", model, MlTask.REGRESSION, rows, code=code)


def saved(
    folder: Path,
    model: Any,
    task: MlTask,
    rows: pd.DataFrame,
    *,
    classes: tuple[int, ...] = (),
    code: Path | None = None,
) -> Path:
    names = tuple(rows.columns)
    facts = ModelFacts(
        model="m", estimator="e", task=task, target="y", features=Features(names=names), inputs=names, classes=classes
    )
    day = datetime(2024, 1, 1, tzinfo=timezone.utc)
    save_model(folder, Scorer(facts, model), rows, code, day, allow_pickle=code is not None)
    return folder


def start_of(folder: Path, *, memory_mib: int = 2048, allow_pickle: bool = True, sha256: str = "") -> WorkerStart:
    bundle = Bundle(
        model="m",
        version=1,
        model_sha256=sha256 or artefact_of(folder, folder.parent).sha256,
        image_digest="",
        code_commit="",
        spec_sha256="",
        data_version="",
        run="",
        reference_data="",
    )
    return WorkerStart(
        bundle=bundle, folder=str(folder), memory_bytes=memory_mib * MIB, max_rows=100, allow_pickle=allow_pickle
    )


@pytest.fixture
def worker(run: Run[Any], nursery: Nursery, hostile: Path) -> Iterator[Worker]:
    worker = run(nursery.spawn(start_of(hostile, memory_mib=1024)))
    yield worker
    run(worker.kill())


def asking(deed: str, detail: int = 0) -> Item:
    return Item(Wire.MLFLOW_JSON, json.dumps({"inputs": {"deed": DEEDS.index(deed), "detail": detail}}).encode())


async def outcome(worker: Worker, deed: str, detail: int = 0) -> float:
    answer = (await worker.score([asking(deed, detail)]))[0]
    assert answer.status == 200
    return float(json.loads(answer.body)["predictions"][0])


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pid_of(worker: Worker) -> int:
    assert worker.running.pid is not None
    return worker.running.pid


def test_a_version_gets_ready_and_answers_its_own_example(run: Run[Any], nursery: Nursery, honest: Path) -> None:
    worker = run(nursery.spawn(start_of(honest, allow_pickle=False)))
    ready = worker.ready
    assert (ready.inputs, ready.is_fast) == (("a", "b", "c"), True)
    assert (ready.input_datatypes, ready.output_datatype) == (("FP64",) * 3, "INT64")
    assert {Confinement.NO_WRITING_TO_FILES, Confinement.NO_CORE_DUMPS} <= set(ready.isolation)
    assert set(ready.isolation) == set(Confinement) - set(worker.not_held)
    if Confinement.FIRST_TO_GO in ready.isolation:
        at_stake = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (pid_of(worker), os.getpid())]
        assert at_stake[0] > at_stake[1]
    answers = run(worker.score([Item(Wire.MLFLOW_JSON, ready.example.encode()), Item(Wire.MLFLOW_JSON, b"{")]))
    assert [answer.status for answer in answers] == [200, 400]
    assert len(json.loads(answers[0].body)["predictions"]) == 3
    assert worker.is_alive
    assert worker.rss_bytes() > 10 * MIB
    run(worker.close())
    assert not worker.is_alive
    assert worker.rss_bytes() is None
    assert is_gone(pid_of(worker))
    run(worker.close())


def test_many_versions_start_at_once(run: Run[Any], nursery: Nursery, honest: Path) -> None:
    async def all_at_once() -> list[Worker]:
        return await asyncio.gather(*(nursery.spawn(start_of(honest)) for _ in range(4)))

    workers = run(all_at_once())
    assert len({pid_of(worker) for worker in workers}) == 4
    for worker in workers:
        run(worker.close())


PREPARE = """
import pandas as pd


def prepare(frame):
    return pd.DataFrame({"length": frame["name"].str.len() * 1.0, "first": frame["name"].str[:1]})
"""


@pytest.fixture(scope="module")
def preparing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    code = tmp_path_factory.mktemp("code")
    (code / "prepare.py").write_text(PREPARE, encoding="utf-8")
    random = np.random.default_rng(2)
    names = pd.DataFrame({"name": ["ab" * n for n in random.integers(1, 9, size=80)]}, dtype=object)
    features = Features(names=("length", "first"), texts=("first",))
    facts = ModelFacts(
        model="m",
        estimator="ridge",
        task=MlTask.REGRESSION,
        target="y",
        features=features,
        inputs=("name",),
        prepare="prepare.py:prepare",
    )
    scorer = Scorer(facts, None, load_function(code, "prepare.py:prepare"))
    typed = scorer.typed(names)
    model = build_pipeline(estimators_for(MlTask.REGRESSION)["ridge"], features, {}, 0).fit(typed, typed["length"])
    folder = tmp_path_factory.mktemp("preparing") / "1"
    save_model(folder, replace(scorer, model=model), typed, code, datetime(2024, 1, 1, tzinfo=timezone.utc))
    return folder


def named(*names: str) -> Item:
    return Item(Wire.MLFLOW_JSON, json.dumps({"inputs": {"name": list(names)}}).encode())


def lengths(worker: Worker, run: Run[Any], *items: Item) -> list[list[int]]:
    return [[round(p) for p in json.loads(answer.body)["predictions"]] for answer in run(worker.score(items))]


def test_a_version_with_a_prepare_takes_what_callers_have(run: Run[Any], nursery: Nursery, preparing: Path) -> None:
    worker = run(nursery.spawn(start_of(preparing, allow_pickle=False)))
    assert (worker.ready.inputs, worker.ready.input_datatypes) == (("name",), ("BYTES",))
    assert worker.ready.example == ""
    assert lengths(worker, run, named("abab"), named("ababab", "ab")) == [[4], [6, 2]]
    run(worker.close())


def test_byte_code_that_was_slipped_in_beside_the_source_is_not_run(
    run: Run[Any], nursery: Nursery, preparing: Path, tmp_path: Path
) -> None:
    folder = copied(preparing, tmp_path)
    forged = tmp_path / "forged.py"
    forged.write_text(PREPARE.replace("* 1.0", "* 100.0"), encoding="utf-8")
    py_compile.compile(
        str(forged),
        importlib.util.cache_from_source(str(folder / "code" / "prepare.py")),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    worker = run(nursery.spawn(start_of(folder, sha256=start_of(preparing).bundle.model_sha256)))
    assert lengths(worker, run, named("abab")) == [[4]]
    run(worker.close())


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "1"))


def test_a_tampered_version_is_refused_before_it_is_interpreted(
    run: Run[Any], nursery: Nursery, hostile: Path, tmp_path: Path
) -> None:
    registered = start_of(hostile).bundle.model_sha256
    folder = copied(hostile, tmp_path)
    (folder / "model.pkl").write_bytes(b"nothing that could be loaded")
    with pytest.raises(WorkerRefused, match="not those that were registered"):
        run(nursery.spawn(start_of(folder, sha256=registered)))


def test_a_pickle_is_refused_unless_it_was_allowed(run: Run[Any], nursery: Nursery, hostile: Path) -> None:
    with pytest.raises(WorkerRefused, match="stored as pickle"):
        run(nursery.spawn(start_of(hostile, allow_pickle=False)))


def test_a_version_that_was_registered_broken_is_refused(
    run: Run[Any], nursery: Nursery, honest: Path, tmp_path: Path
) -> None:
    folder = copied(honest, tmp_path)
    whole = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WorkerRefused, match="cannot be loaded"):
        run(nursery.spawn(start_of(folder)))


def test_a_version_without_files_or_without_an_example_is_refused(
    run: Run[Any], nursery: Nursery, honest: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorkerRefused, match="Upload them again"):
        run(nursery.spawn(start_of(tmp_path / "7", sha256="0" * 64)))
    folder = copied(honest, tmp_path)
    (folder / "input_example.json").unlink()
    with pytest.raises(WorkerRefused, match="input example"):
        run(nursery.spawn(start_of(folder)))


def test_a_version_that_does_not_fit_into_its_memory_is_refused(
    run: Run[Any], nursery: Nursery, hostile: Path, tmp_path: Path
) -> None:
    folder = copied(hostile, tmp_path)
    example = {"columns": ["deed", "detail"], "data": [[float(DEEDS.index("take_memory")), 4096.0]]}
    (folder / "input_example.json").write_text(json.dumps(example), encoding="utf-8")
    with pytest.raises(WorkerRefused, match=r"MemoryError.*serving\.memory"):
        run(nursery.spawn(start_of(folder, memory_mib=1024)))


def test_a_model_that_hangs_while_it_is_warmed_up_is_refused_and_leaves_nothing_behind(
    run: Run[Any], nursery: Nursery, hostile: Path, tmp_path: Path
) -> None:
    folder = copied(hostile, tmp_path)
    example = {"columns": ["deed", "detail"], "data": [[float(DEEDS.index("spin")), 0.0]]}
    (folder / "input_example.json").write_text(json.dumps(example), encoding="utf-8")
    with pytest.raises(WorkerRefused, match="not ready in time"):
        run(nursery.spawn(start_of(folder), timeout_s=2.0))


def test_a_process_that_is_killed_is_noticed(run: Run[Any], worker: Worker) -> None:
    async def killed_in_between() -> None:
        os.kill(pid_of(worker), signal.SIGKILL)
        with pytest.raises(WorkerDied):
            await asyncio.wait_for(worker.score([asking("nothing")]), PATIENCE_S)

    run(killed_in_between())
    assert not worker.is_alive


def test_a_process_that_dies_of_a_request_is_noticed(run: Run[Any], worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="it ended"):
        run(asyncio.wait_for(worker.score([asking("die")]), PATIENCE_S))


def test_a_process_that_computes_for_ever_is_killed_on_demand(run: Run[Any], worker: Worker) -> None:
    async def killed_while_it_computes() -> None:
        scoring = asyncio.ensure_future(worker.score([asking("spin")]))
        await asyncio.sleep(0)
        await worker.kill()
        with pytest.raises(WorkerDied, match="it was stopped"):
            await scoring

    run(killed_while_it_computes())
    assert is_gone(pid_of(worker))


def test_a_call_that_is_given_up_does_not_answer_the_next(run: Run[Any], worker: Worker) -> None:
    async def given_up() -> list[int]:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.score([asking("sleep", 300), asking("sleep", 300)]), 0.05)
        return [len(await worker.score([asking("nothing")])) for _ in range(2)]

    assert run(given_up()) == [1, 1]


def test_a_model_that_takes_all_memory_hits_its_own_limit_and_nobody_elses(run: Run[Any], worker: Worker) -> None:
    greedy, modest = run(worker.score([asking("take_memory", 4096)]))[0], run(outcome(worker, "take_memory", 50))
    assert greedy.status == 500
    assert modest == NO_ERROR


def test_a_model_that_prints_megabytes_costs_nothing(run: Run[Any], worker: Worker) -> None:
    assert run(outcome(worker, "flood", 8)) == NO_ERROR


def test_a_model_does_not_find_the_gateways_secrets_in_its_environment(run: Run[Any], worker: Worker) -> None:
    assert run(outcome(worker, "look_for_secret")) == ERROR


def test_a_model_that_writes_to_the_gateway_itself_is_not_believed(run: Run[Any], worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="broken"):
        run(asyncio.wait_for(worker.score([asking("babble")]), PATIENCE_S))
    assert not worker.is_alive


def held(worker: Worker, what: Confinement) -> None:
    if what not in worker.ready.isolation:
        pytest.skip(f"this machine does not let a process give up: {what}")


def test_a_model_reaches_no_network(run: Run[Any], worker: Worker) -> None:
    held(worker, Confinement.NO_NETWORK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        assert run(outcome(worker, "connect", port)) == ERROR
    assert run(outcome(worker, "listen")) == ERROR


def test_a_model_changes_nothing_on_disk(run: Run[Any], worker: Worker) -> None:
    held(worker, Confinement.NO_WRITING)
    there = Path("/tmp") / f"understudy-worker-{os.getpid()}"
    there.touch()
    assert run(outcome(worker, "remove", os.getpid())) == ERROR
    assert run(outcome(worker, "write", os.getpid())) == ERROR
    there.unlink()
    assert run(outcome(worker, "write", os.getpid())) == ERROR
    assert not there.exists()


def test_a_model_starts_no_program_and_signals_nobody(run: Run[Any], worker: Worker) -> None:
    held(worker, Confinement.NO_PROGRAMS)
    held(worker, Confinement.NO_SIGNALS)
    assert run(outcome(worker, "run")) == ERROR
    assert run(outcome(worker, "signal", os.getpid())) == ERROR


def test_the_nursery_starts_again_when_it_was_killed_and_what_serves_goes_on(run: Run[Any], hostile: Path) -> None:
    async def killed() -> tuple[float, float]:
        nursery = Nursery()
        old = await nursery.spawn(start_of(hostile))
        parent = psutil.Process(pid_of(old)).ppid()
        os.kill(parent, signal.SIGKILL)
        assert await asyncio.to_thread(eventually, lambda: is_gone(parent))
        new = await nursery.spawn(start_of(hostile))
        answers = await outcome(old, "nothing"), await outcome(new, "nothing")
        await old.close()
        await new.close()
        await nursery.close()
        return answers

    assert run(killed()) == (NO_ERROR, NO_ERROR)


GATEWAY = """
import asyncio, sys
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import WorkerStart

async def main():
    worker = await Nursery().spawn(WorkerStart.model_validate_json(sys.argv[1]))
    scoring = asyncio.ensure_future(worker.score([Item(Wire.MLFLOW_JSON, sys.argv[2].encode())]))
    await asyncio.sleep(0)
    print(worker.running.pid, flush=True)
    await scoring

asyncio.run(main())
"""


def test_a_gateway_that_is_killed_leaves_no_process_behind_not_even_a_busy_one(hostile: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, start_of(hostile).model_dump_json(), asking("spin").body.decode()],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert gateway.stdout is not None
    with gateway.stdout:
        pid = int(gateway.stdout.readline())
    parent = psutil.Process(pid).ppid()
    gateway.kill()
    gateway.wait()
    assert eventually(lambda: is_gone(pid) and is_gone(parent))
