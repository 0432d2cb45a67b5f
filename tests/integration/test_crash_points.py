"""A process that dies by SIGKILL at any point of a promotion or rollback is repaired by whoever comes next.

One helper process imports MLflow once and forks a child for each point; the child replaces one hook's method by one
that kills it before or after the real call. The product code knows nothing of this.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from understudy.contract.by import By
from understudy.contract.release import Blessing
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.deployments import Deployments
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registry import Registry
from understudy.hooks.repair import repair
from understudy.hooks.rollback import rollback

PROJECT = Path(__file__).parents[2]
MODEL = "demand"

# class, method, and which call of it
PROMOTE = [
    "Deployments.refuse",
    "Registry.keep",
    "Deployments.deploy",
    "LedgerPen.append",
    "Deployments.confirm",
    "LedgerPen.append#2",
    "Registry.forget_all_but",
    "Registry.follow#2",
    "MlflowClient.set_registered_model_alias",
    "MlflowClient.set_registered_model_alias#2",
]
ROLLBACK = [
    "Registry.keep",
    "Deployments.deploy",
    "LedgerPen.append",
    "LedgerPen.append#2",
    "Deployments.confirm",
    "LedgerPen.append#3",
    "Registry.follow",
    "MlflowClient.set_registered_model_alias",
    "MlflowClient.delete_registered_model_alias",
    "Registry.mark_denied",
    "MlflowClient.set_model_version_tag",
]
POINTS = [
    f"{act}:{point}:{when}"
    for act, points in (("promote", PROMOTE), ("rollback", ROLLBACK))
    for point in points
    for when in ("before", "after")
]

HELPER = """
import json, os, shutil, signal, sys
from pathlib import Path
import mlflow, mlflow.tracking, mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store
from mlflow import MlflowClient
from tests.integration.trained import trained, write_model
from understudy.contract.by import By
from understudy.contract.release import Blessing, Deployment
from understudy.contract.words import EntryKind
from understudy.hooks.deployments import Deployments
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.pen import LedgerPen
from understudy.hooks.promotion import promote
from understudy.hooks.registry.registry import Registry
from understudy.hooks.rollback import rollback

template, points = Path(sys.argv[1]) / "template", json.loads(sys.argv[2])

def hooks(home):
    return (Deployments(Ledger(f"sqlite:///{home}/ledger.db")),
            Registry(f"sqlite:///{home}/mlflow.db", (template / "artifacts").as_uri(), home / "bundles"))

def train(registry, number):
    folder = write_model(template / f"trained{number}", bytes([number]) * 1000)
    return registry.register(trained("demand", number, folder))

def prepare():
    deployments, registry = hooks(template)
    for number in (1, 2, 3):
        serving = deployments.current("demand")
        blessing = Blessing(challenger=train(registry, number), champion_version=serving and serving.champion.version,
                            champion_epoch=serving.epoch if serving else 0, judgement_sha256="a" * 64,
                            rubber_stamped=serving is None)
        deployments.ledger.append("demand", EntryKind.BLESSED, "ann", "passed", f"run{number}",
                                  blessing.model_dump(mode="json"))
        if number < 3:
            promote(deployments, registry, blessing, by=By(actor="ann", reason="weekly", run=f"run{number}"))
    (template / "blessing.json").write_text(blessing.model_dump_json())

def die(point, when):
    name, _, nth = point.partition("#")
    owner, method = name.split(".")
    owner = {kind.__name__: kind for kind in (Deployments, Registry, LedgerPen, MlflowClient)}[owner]
    real, left = getattr(owner, method), [int(nth or 1)]
    def deadly(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, method, deadly)

def in_child(act):
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    return os.waitpid(child, 0)[1]

assert in_child(prepare) == 0

def crash(what):
    act, point, when = what.split(":")
    home = template.parent / what.replace(":", "-")
    shutil.copytree(template, home, ignore=shutil.ignore_patterns("artifacts", "trained*"))
    deployments, registry = hooks(home)
    blessing = Blessing.model_validate_json((home / "blessing.json").read_text())
    die(point, when)
    if act == "promote":
        promote(deployments, registry, blessing, by=By(actor="ann", reason="weekly", run="run3"))
    else:
        by = By(actor="ann", reason="it answers backwards", run="rollback-1")
        rollback(deployments, registry, "demand", by=by)

print(json.dumps({what: in_child(lambda: crash(what)) for what in points}))
"""


@pytest.fixture(scope="module")
def graveyard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """Let one process die at each point; return where, and the exit statuses."""
    root = tmp_path_factory.mktemp("crashes")
    told = subprocess.run(
        [sys.executable, "-c", HELPER, str(root), json.dumps(POINTS)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")]),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
    assert told.returncode == 0, told.stderr
    return root, json.loads(told.stdout.splitlines()[-1])


def copy_of(root: Path, point: str, purpose: str) -> Path:
    """Copy what the dead process left, so that each test finds it untouched."""
    home = root / point.replace(":", "-")
    return Path(shutil.copytree(home, root / f"{home.name}-{purpose}"))


def hooks(home: Path) -> tuple[Deployments, Registry]:
    artifacts = (home.parent / "template" / "artifacts").as_uri()
    return (
        Deployments(Ledger(f"sqlite:///{home / 'ledger.db'}")),
        Registry(f"sqlite:///{home / 'mlflow.db'}", artifacts, home / "bundles"),
    )


def assert_whole(deployments: Deployments, registry: Registry) -> None:
    """Record, confirmation, aliases, denials and chain tell one story."""
    record = deployments.current(MODEL)
    assert record is not None
    assert deployments.confirmed(MODEL) == record
    wanted = {Alias.CHAMPION: record.champion.version}
    if record.previous:
        wanted[Alias.PREVIOUS_CHAMPION] = record.previous.version
    aliases = registry.aliases(MODEL)
    assert {alias: version for alias, version in aliases.items() if alias is not Alias.CHALLENGER} == wanted
    assert aliases.get(Alias.CHALLENGER) != record.champion.version
    epochs = [served.deployment.epoch for served in deployments.history(MODEL)]
    assert epochs == list(range(1, record.epoch + 1))
    confirmations = Counter(entry.facts["epoch"] for entry in deployments.ledger.entries(MODEL, [EntryKind.CONFIRMED]))
    assert confirmations == Counter(epochs)
    rolled_back = [served for served in deployments.history(MODEL) if served.deployment.change is Change.ROLLBACK]
    assert len(deployments.denials(MODEL)) == len(rolled_back)
    for denial in deployments.denials(MODEL):
        assert registry.tags(registry.bundle_of(MODEL, denial.version or 0))["denied"] == denial.reason
    assert deployments.ledger.verify().ok


@pytest.mark.parametrize("point", POINTS)
def test_a_death_is_repaired_by_the_next_touch(graveyard: tuple[Path, dict[str, int]], point: str) -> None:
    root, statuses = graveyard
    assert statuses[point] == signal.SIGKILL, f"the process did not die at {point}"
    deployments, registry = hooks(copy_of(root, point, "repaired"))
    assert not repair(deployments, registry, MODEL).left
    assert_whole(deployments, registry)

    home = copy_of(root, point, "tried-again")
    deployments, registry = hooks(home)
    if point.startswith("promote"):
        blessing = Blessing.model_validate_json((home / "blessing.json").read_text())
        record = promote(deployments, registry, blessing, by=By(actor="ann", reason="weekly", run="run3"))
        assert (record.epoch, record.champion.version) == (3, 3)
    else:
        record = rollback(
            deployments, registry, MODEL, by=By(actor="ann", reason="it answers backwards", run="rollback-1")
        )
        assert (record.epoch, record.champion.version) == (3, 1)
    assert deployments.current(MODEL) == record
    assert_whole(deployments, registry)


def test_the_record_moves_in_one_step(graveyard: tuple[Path, dict[str, int]]) -> None:
    root, _ = graveyard
    for point, epoch in {
        "promote:LedgerPen.append:after": 2,
        "promote:Deployments.deploy:after": 3,
        "rollback:LedgerPen.append:after": 2,
        "rollback:LedgerPen.append#2:after": 2,
        "rollback:Deployments.deploy:after": 3,
    }.items():
        deployments, _ = hooks(copy_of(root, point, "looked-at"))
        record = deployments.current(MODEL)
        assert record is not None
        assert record.epoch == epoch, point
        assert len(deployments.denials(MODEL)) == (1 if point == "rollback:Deployments.deploy:after" else 0)
