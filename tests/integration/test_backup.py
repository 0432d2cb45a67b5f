"""The drill: real models, data and decisions are backed up, lost, brought back, and a rollback works."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from tests.integration.trained import trained
from understudy.backup import restore as restoring
from understudy.backup import take as taking
from understudy.backup.errors import (
    BackupDamaged,
    BackupIncomplete,
    NoBackup,
    NotEmpty,
    NotReachable,
    OtherPlace,
)
from understudy.backup.restore import restore
from understudy.backup.take import take
from understudy.contract.by import By
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, EntryKind, MlTask
from understudy.hooks.connect import Hooks
from understudy.hooks.errors import LedgerDamaged
from understudy.hooks.ledger.schema import LEDGER
from understudy.hooks.promotion import promote
from understudy.hooks.registry.errors import RegistryUnavailable
from understudy.hooks.rollback import rollback
from understudy.settings import Settings, settings
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer

MODEL = "demand"
LOST = ("ledger.db", "mlflow.db", "mlflow-artifacts", "data-versions.git", "data-store", "bundles")


def connect(home: Path, **more: object) -> Hooks:
    return Hooks(Settings.model_validate({"UNDERSTUDY_HOME": home, **more}))


def raise_champion(hooks: Hooks, number: int) -> Bundle:
    """Train on data of its own, register, bless and promote, as a retraining does."""
    scratch = hooks.settings.home / "runs" / str(number)
    scratch.mkdir(parents=True)
    random = np.random.default_rng(number)
    rows = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
    target = (rows["a"] > rows["b"]).astype(int)
    rows.assign(y=target).to_parquet(scratch / "data.parquet")
    window = hooks.data_versions.record(scratch / "data.parquet", MODEL, {"rows": len(rows)})
    features = Features(names=("a", "b"))
    model = build_pipeline(estimators_for(MlTask.BINARY)["logistic_regression"], features, {}, number)
    facts = ModelFacts(
        model=MODEL,
        estimator="logistic_regression",
        task=MlTask.BINARY,
        target="y",
        features=features,
        inputs=("a", "b"),
        classes=(0, 1),
    )
    fitted = Scorer(facts, model.fit(rows, target.to_numpy()))
    save_model(scratch / "model", fitted, rows, None, datetime(2026, 1, 1, tzinfo=timezone.utc))
    bundle = hooks.registry.register(trained(MODEL, number, scratch / "model", data_version=window.sha256))
    serving = hooks.deployments.current(MODEL)
    blessing = Blessing(
        challenger=bundle,
        champion_version=serving.champion.version if serving else None,
        champion_epoch=serving.epoch if serving else 0,
        judgement_sha256="a" * 64,
        rubber_stamped=serving is None,
    )
    said = blessing.model_dump(mode="json")
    hooks.ledger.append(MODEL, EntryKind.BLESSED, "ann", "all gates passed", bundle.run, said)
    promote(hooks.deployments, hooks.registry, blessing, by=By(actor="ann", reason="weekly", run=bundle.run))
    return bundle


@pytest.fixture(scope="module", autouse=True)
def here(grown_at: Path) -> Iterator[None]:
    """Let what reads this process's settings find the home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(grown_at))
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def grown_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grown") / "home"


@pytest.fixture(scope="module")
def grown(grown_at: Path, here: None) -> Path:
    """A home with two versions, the second of which serves."""
    hooks = connect(grown_at)
    for number in (1, 2):
        raise_champion(hooks, number)
    return grown_at


@pytest.fixture(scope="module")
def kept(grown: Path) -> Path:
    """A copy of the home as it was grown."""
    return Path(shutil.copytree(grown, grown.with_name("kept"), symlinks=True))


@pytest.fixture(scope="module")
def backup(grown: Path, kept: Path) -> Path:
    """A backup that tests only read."""
    take(connect(grown), grown.with_name("backup"))
    return grown.with_name("backup")


@pytest.fixture
def home(grown: Path, kept: Path) -> Path:
    """The same home for each test, whatever the one before did to it: MLflow's database names files by its path."""
    lose(grown)
    shutil.copytree(kept, grown, symlinks=True, dirs_exist_ok=True)
    return grown


def lose(home: Path, but: str = "") -> None:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Versions
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs

    for store in (Versions, Runs):
        for engine in store._engine_map.values():
            engine.dispose()  # MLflow would go on with the lost file
    for name in LOST:
        path = home / name
        if path.is_dir() and name != but:
            shutil.rmtree(path)
        elif name != but:
            path.unlink(missing_ok=True)


def test_a_lost_home_comes_back_and_rolls_back(home: Path, backup: Path) -> None:
    before = connect(home).ledger.entries()
    lose(home)

    restored = restore(connect(home), backup)
    hooks = connect(home)
    assert hooks.ledger.entries() == before
    assert [line.split(":")[0] for line in restored.verified[2:]] == [
        "version 1 of demand",
        "version 2 of demand",
    ]
    first = hooks.deployments.current(MODEL)
    assert first is not None
    assert first.previous is not None
    record = rollback(hooks.deployments, hooks.registry, MODEL, None, by=By(actor="ann", reason="it answers backwards"))
    assert record.champion.version == 1
    assert artefact_of(hooks.registry.keep(record.champion), home).sha256 == record.champion.model_sha256
    raise_champion(hooks, 3)
    assert hooks.ledger.verify().ok


def test_a_backup_that_is_taken_while_a_model_is_promoted_is_whole(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = taking._copy_parts

    def promoting(*arguments: object) -> None:
        raise_champion(connect(home), 4)  # after the ledger was read, before what it names is
        parts(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(taking, "_copy_parts", promoting)
    take(connect(home), tmp_path / "backup")
    lose(home)
    restore(connect(home), tmp_path / "backup")
    record = connect(home).deployments.current(MODEL)
    assert record is not None
    assert record.champion.version == 2


def test_a_rollback_drill_stands_in_no_backup_s_way(home: Path, tmp_path: Path) -> None:
    hooks = connect(home)
    serving = hooks.deployments.current(MODEL)
    assert serving is not None
    spent = serving.champion.model_copy(update={"model": DRILL_MODEL, "data_version": "generated for a drill"})
    drilled = Deployment(model=DRILL_MODEL, epoch=1, change=Change.PROMOTION, champion=spent, previous=None)
    hooks.deployments.deploy(drilled, 0, By(actor="drill", reason="a model that is bad on purpose"))

    take(hooks, tmp_path / "backup")
    lose(home)
    restore(connect(home), tmp_path / "backup")
    assert connect(home).deployments.current(DRILL_MODEL) == drilled


def test_nothing_is_overwritten(home: Path, backup: Path) -> None:
    with pytest.raises(NotEmpty, match="new folder"):
        take(connect(home), backup)
    with pytest.raises(NotEmpty, match="ledger"):
        restore(connect(home), backup)
    lose(home, but="mlflow.db")
    with pytest.raises(NotEmpty, match=r"mlflow\.db"):
        restore(connect(home), backup)
    assert not (home / "bundles").exists(), "it looks before it writes"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "ledger.jsonl").write_text("{}"), "ledger.jsonl was changed"),
        (lambda folder: (folder / "registry").unlink(), "registry is missing"),
        (lambda folder: (folder / "bundles" / "more.pkl").write_text("x"), "more.pkl was added"),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    home: Path, backup: Path, tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    spoiled = Path(shutil.copytree(backup, tmp_path / "spoiled"))
    spoil(spoiled)
    lose(home)
    with pytest.raises(BackupDamaged, match=told):
        restore(connect(home), spoiled)
    assert not any((home / name).exists() for name in LOST)


def test_a_ledger_that_was_cut_off_together_with_its_digest_is_found_out(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    spoiled = Path(shutil.copytree(backup, tmp_path / "spoiled"))
    manifest = json.loads((spoiled / "manifest.json").read_text())
    rows = (spoiled / "ledger.jsonl").read_text().splitlines()
    (spoiled / "ledger.jsonl").write_text("\n".join(rows[:-1]) + "\n")
    manifest["files"]["ledger.jsonl"] = artefact_of(spoiled / "ledger.jsonl", tmp_path).sha256
    (spoiled / "manifest.json").write_text(json.dumps(manifest))
    lose(home)
    with pytest.raises(BackupDamaged, match="not the one that was taken"):
        restore(connect(home), spoiled)


def test_half_a_backup_is_none(home: Path, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "ledger.jsonl").write_text("")
    with pytest.raises(NoBackup, match="never finished"):
        restore(connect(home), tmp_path / "half")


def test_a_version_that_cannot_be_verified_makes_no_backup(home: Path, tmp_path: Path) -> None:
    weights = next(path for path in (home / "mlflow-artifacts").rglob("*.skops"))
    weights.write_bytes(b"something else")
    with pytest.raises(BackupIncomplete, match="of demand: The files of"):
        take(connect(home), tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_chain_makes_no_backup(home: Path, tmp_path: Path) -> None:
    hooks = connect(home)
    with hooks.ledger._engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("DROP TRIGGER ledger_keeps_rows")
        connection.execute(LEDGER.update().where(LEDGER.c.seq == 1).values(reason="nicer"))
    with pytest.raises(LedgerDamaged, match="1"):
        take(connect(home), tmp_path / "backup")


def test_artefacts_that_the_database_would_not_find_are_refused(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(OtherPlace, match="mlflow-artifacts"):
        restore(connect(tmp_path / "elsewhere"), backup)


def test_an_mlflow_that_only_its_address_is_known_of_is_no_source(home: Path, tmp_path: Path) -> None:
    hooks = connect(home, mlflow_tracking_uri="http://mlflow:5000")
    with pytest.raises(NotReachable, match="AIRFLOW__UNDERSTUDY__MLFLOW_DATABASE"):
        take(hooks, tmp_path / "backup")


def test_a_ledger_moves_from_sqlite_to_postgresql(home: Path, backup: Path, postgres: str) -> None:
    before = connect(home).ledger.entries()
    lose(home)
    restore(connect(home, ledger_url=postgres), backup)
    moved = connect(home, ledger_url=postgres).ledger
    assert moved.entries() == before
    assert moved.verify().ok


class SlowStart(BaseHTTPRequestHandler):
    """Be an MLflow that has not started yet when it is asked first, and then has no model."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status, code = (500, "INTERNAL_ERROR") if self.asked == 1 else (404, "RESOURCE_DOES_NOT_EXIST")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"error_code": code, "message": "no"}).encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(SlowStart, "asked", 0)
    monkeypatch.setattr(restoring, "LOOK_S", 0.01)
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowStart) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("patience_s", "comes_back"), [(300.0, True), (-1.0, False)], ids=["in time", "too late"])
def test_a_restore_waits_for_an_mlflow_that_was_started_a_moment_ago_before_it_changes_anything(
    tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch, patience_s: float, comes_back: bool
) -> None:
    home = tmp_path / "home"
    connect(home).ledger.append(MODEL, EntryKind.HELD, "ann", "a feast", None, {})
    take(connect(home), tmp_path / "backup")
    shutil.rmtree(home)
    hooks = connect(home, mlflow_tracking_uri=served, mlflow_database=f"sqlite:///{home / 'mlflow.db'}")
    monkeypatch.setattr(restoring, "ANSWERS_WITHIN_S", patience_s)
    if comes_back:
        restore(hooks, tmp_path / "backup")
    else:
        with pytest.raises(RegistryUnavailable, match="Check that MLflow runs"):
            restore(hooks, tmp_path / "backup")
    assert SlowStart.asked == (2 if comes_back else 1)
    assert len(connect(home).ledger.entries()) == int(comes_back)


def test_without_any_model_there_is_little_to_back_up(tmp_path: Path) -> None:
    taken = take(connect(tmp_path / "new"), tmp_path / "backup")
    assert (taken.entries, taken.proof.verified) == (0, ())
    lost = tmp_path / "new"
    shutil.rmtree(lost)
    assert restore(connect(lost), tmp_path / "backup").verified[1].startswith("the ledger's 0 entries")
