"""Many promotions and rollbacks at once: one wins each epoch, none is lost, the chain stays whole."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.blessed import bless
from tests.integration.trained import trained, write_model
from understudy.contract.by import By
from understudy.contract.release import Bundle
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict, StaleBlessing
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registry import Registry
from understudy.hooks.repair import repair
from understudy.hooks.rollback import rollback

PLUGINS = Path(__file__).parents[2] / "plugins"
PROCESSES, THREADS = 4, 25
MODEL = "demand"

START_TOGETHER = """
import json, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
home, process, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def together(act):
    (home / f"ready{process}").touch()
    barrier = threading.Barrier(threads)
    def wait_and_act(number):
        barrier.wait()
        while not (home / "go").exists():
            time.sleep(0.01)
        return act(process * threads + number + 1)
    with ThreadPoolExecutor(threads) as pool:
        print(json.dumps(list(pool.map(wait_and_act, range(threads)))))
"""

# Every contender wants its turn: whoever loses an epoch looks again and tries over the next one.
UNTIL_ALL_SERVED = (
    START_TOGETHER
    + """
from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Change
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict
from understudy.hooks.ledger.ledger import Ledger

def deploy(number):
    deployments = Deployments(Ledger(f"sqlite:///{home}/ledger.db"))
    bundle = Bundle(model="demand", version=number, model_sha256=str(number), image_digest="i", code_commit="c",
                    spec_sha256="s", data_version="d", run="r", reference_data="d")
    lost = 0
    while True:
        serving = deployments.current("demand")
        epoch = serving.epoch if serving else 0
        try:
            record = Deployment(model="demand", epoch=epoch + 1, change=Change.PROMOTION, champion=bundle,
                                previous=serving.champion if serving else None)
            deployments.deploy(record, epoch, By(actor="ann", reason="mine"))
            return lost
        except EpochConflict:
            lost += 1

together(deploy)
"""
)

# Every contender was judged against the same champion: only one may replace it.
OVER_ONE_EPOCH = (
    START_TOGETHER
    + """
from understudy.contract.by import By
from understudy.contract.release import Blessing
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import StaleBlessing
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registry import Registry
hooks = (Deployments(Ledger(f"sqlite:///{home}/ledger.db")),
         Registry(f"sqlite:///{home}/mlflow.db", (home / "artifacts").as_uri(), home / "bundles"))
blessings = [Blessing.model_validate(b) for b in json.loads((home / "blessings.json").read_text())]
hooks[1].aliases("demand")

def act(number):
    by = By(actor=f"contender {number}", reason="race")
    try:
        return promote(*hooks, blessings[number - 1], by=by).champion.version
    except StaleBlessing:
        return None

together(act)
"""
)


def race(script: str, home: Path) -> list[int | None]:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(home), str(process), str(THREADS)],
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        )
        for process in range(PROCESSES)
    ]
    while not all((home / f"ready{process}").exists() for process in range(PROCESSES)):
        assert all(racer.poll() is None for racer in racers), [racer.communicate()[1] for racer in racers]
        threading.Event().wait(0.05)
    (home / "go").touch()
    results: list[int | None] = []
    for racer in racers:
        out, err = racer.communicate(timeout=300)
        assert racer.returncode == 0, err
        results += json.loads(out.splitlines()[-1])
    return results


def test_a_hundred_updates_lose_none(tmp_path: Path) -> None:
    conflicts = race(UNTIL_ALL_SERVED, tmp_path)
    deployments = Deployments(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))
    history = [served.deployment for served in deployments.history("demand")]
    assert [record.epoch for record in history] == list(range(1, 101))
    assert {record.champion.version for record in history} == set(range(1, 101))
    assert [record.previous for record in history] == [None, *(record.champion for record in history[:-1])]
    assert sum(conflict or 0 for conflict in conflicts) > 0, "nobody ever met anybody: this was no race"
    assert deployments.ledger.verify().checked == 100


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("races")


@pytest.fixture
def registry(shared: Path) -> Registry:
    return Registry(f"sqlite:///{shared / 'mlflow.db'}", (shared / "artifacts").as_uri(), shared / "bundles")


def train(registry: Registry, folder: Path, model: str, number: int) -> Bundle:
    write_model(folder, number.to_bytes(2, "big") * 100)
    return registry.register(trained(model, number, folder))


def test_of_a_hundred_promotions_over_one_epoch_one_wins(shared: Path, registry: Registry) -> None:
    deployments = Deployments(Ledger(f"sqlite:///{shared / 'ledger.db'}"))
    first = bless(deployments, train(registry, shared / "t0", MODEL, 0))
    promote(deployments, registry, first, by=By(actor="ann", reason="first"))
    blessings = [bless(deployments, train(registry, shared / f"t{number}", MODEL, number)) for number in range(1, 101)]
    (shared / "blessings.json").write_text(json.dumps([blessing.model_dump(mode="json") for blessing in blessings]))
    winners = [version for version in race(OVER_ONE_EPOCH, shared) if version is not None]
    record = deployments.current(MODEL)
    assert record is not None
    assert (record.epoch, [record.champion.version]) == (2, winners)
    assert deployments.confirmed(MODEL) == record
    counted = Counter(entry.kind for entry in deployments.ledger.entries(MODEL))
    assert (counted[EntryKind.DEPLOYED], counted[EntryKind.CONFIRMED]) == (2, 2)
    repair(deployments, registry, MODEL)
    aliases = registry.aliases(MODEL)
    assert (aliases[Alias.CHAMPION], aliases[Alias.PREVIOUS_CHAMPION]) == (winners[0], 1)
    assert deployments.ledger.verify().ok


@pytest.fixture
def at_once() -> Iterator[Callable[..., list[str]]]:
    with ThreadPoolExecutor(8) as pool:

        def run(*acts: Callable[[], object]) -> list[str]:
            barrier = threading.Barrier(len(acts))

            def attempt(act: Callable[[], object]) -> str:
                barrier.wait()
                try:
                    act()
                except (StaleBlessing, EpochConflict) as lost:
                    return type(lost).__name__
                return "done"

            return list(pool.map(attempt, acts))

        yield run


@pytest.mark.parametrize("round_", range(5))
def test_a_rollback_and_a_promotion_at_once_stay_in_step(
    shared: Path,
    registry: Registry,
    tmp_path: Path,
    at_once: Callable[..., list[str]],
    round_: int,
) -> None:
    model, deployments = f"duel{round_}", Deployments(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))
    for number in (1, 2):
        promote(
            deployments,
            registry,
            bless(deployments, train(registry, tmp_path / f"{number}", model, number)),
            by=By(actor="ann", reason="weekly"),
        )
    blessing = bless(deployments, train(registry, tmp_path / "3", model, 3))
    promoted, rolled_back = at_once(
        lambda: promote(deployments, registry, blessing, by=By(actor="ann", reason="weekly")),
        lambda: rollback(deployments, registry, model, by=By(actor="bob", reason="it answers backwards")),
    )
    records = [served.deployment for served in deployments.history(model)][2:]
    steps = [(record.change, record.champion.version) for record in records]
    # Whoever came first, the second either lost the epoch or saw the first one's record.
    allowed = {
        ("done", "EpochConflict"): [(Change.PROMOTION, 3)],
        ("StaleBlessing", "done"): [(Change.ROLLBACK, 1)],
        ("done", "done"): [(Change.PROMOTION, 3), (Change.ROLLBACK, 2)],
    }
    assert steps == allowed[promoted, rolled_back]
    assert not repair(deployments, registry, model).left
    assert registry.aliases(model)[Alias.CHAMPION] == steps[-1][1]
    assert len(deployments.denials(model)) == sum(change is Change.ROLLBACK for change, _ in steps)
    assert deployments.ledger.verify().ok


def test_two_attempts_of_one_rollback_run_go_back_once(
    registry: Registry,
    tmp_path: Path,
    at_once: Callable[..., list[str]],
) -> None:
    model, deployments = "twice", Deployments(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"))
    for number in (1, 2, 3):
        promote(
            deployments,
            registry,
            bless(deployments, train(registry, tmp_path / f"{number}", model, number)),
            by=By(actor="ann", reason="weekly"),
        )

    def act() -> object:
        return rollback(
            deployments, registry, model, by=By(actor="ann", reason="it answers backwards", run="rollback-1")
        )

    assert "done" in at_once(*[act] * 6)
    record = deployments.current(model)
    assert record is not None
    assert (record.epoch, record.champion.version) == (4, 2)
