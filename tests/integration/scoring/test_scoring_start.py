"""A version gets ready to answer in a process of its own, or is refused before anybody is answered by it."""

import asyncio
import importlib.util
import json
import os
import py_compile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.integration.scoring.hostile_model import DEEDS
from tests.integration.scoring.process import MIB, Run, copied, is_gone, pid_of, start_of
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.words import Confinement, MlTask
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import Worker, WorkerRefused
from understudy.stages.model.features import Features
from understudy.stages.model.load_code import load_function
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer


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
