"""The registry hook against a real MLflow on SQLite."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keys import key_pair
from understudy.contract.release import Bundle, Deployment
from understudy.contract.reports import TrialReport
from understudy.contract.stage import artefact_of
from understudy.contract.words import Alias, Change
from understudy.hooks.registry import Registry
from understudy.hooks.registry_client import RegistryClient
from understudy.hooks.registry_errors import (
    ArtefactMissing,
    ArtefactTampered,
    NotAModel,
    RegistryUnavailable,
    SignatureRefused,
    UnknownVersion,
)
from understudy.signatures import Signatures

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def registry(home: Path) -> Registry:
    return Registry(f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), home / "bundles")


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """Give each test a model of its own in the one registry, which takes seconds to create."""
    return str(request.node.originalname)[:60]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "nested").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "nested" / "weights.bin").write_bytes(b"\x01" * 1000)
    return folder


def register(registry: Registry, model: str, model_dir: Path, run: str = "run1", **changed: Any) -> Bundle:
    said: dict[str, Any] = {
        "model_sha256": artefact_of(model_dir, model_dir.parent).sha256,
        "image_digest": "sha256:i",
        "code_commit": "c0ffee",
        "spec_sha256": "s",
        "data_version": "d1",
        "decision_threshold": 0.1 + 0.2,
        "params": {"max_iter": 100, "l2": None},
        "metrics": {"roc_auc": 0.8, "never": float("nan")},
        "tags": {"owner": "ann", "parent_version": "", "train_end": "t"},
    }
    return registry.register(model=model, run=run, model_dir=model_dir, **{**said, **changed})


def client_of(registry: Registry) -> Any:
    with registry._mlflow.asking() as client:
        return client


def artefact_dir(registry: Registry, bundle: Bundle) -> Path:
    source = client_of(registry).get_model_version(bundle.model, str(bundle.version)).source
    return Path(source.removeprefix("file://"))


def test_a_version_carries_its_whole_provenance(registry: Registry, model: str, model_dir: Path) -> None:
    bundle = register(registry, model, model_dir)
    assert registry.bundle_of(model, 1) == bundle == registry.challenger(model)
    assert bundle.decision_threshold == 0.1 + 0.2
    assert bundle.reference_data == bundle.data_version == "d1"
    tags = registry.tags(bundle)
    assert {
        "data_version",
        "code_commit",
        "image_digest",
        "spec_sha256",
        "model_sha256",
        "run",
        "parent_version",
        "train_end",
    } <= set(tags)
    assert tags["owner"] == "ann"
    run = client_of(registry).get_run(client_of(registry).get_model_version(model, "1").run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"max_iter": "100", "l2": "null"}
    assert run.data.metrics == {"roc_auc": 0.8}


def test_a_version_is_signed_once_and_handed_out_to_those_who_trust_its_key(
    registry: Registry, model: str, model_dir: Path, home: Path, tmp_path: Path
) -> None:
    key = key_pair(tmp_path / "key")
    told = f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), home / "bundles"
    strict = Registry(*told, signing_key=key, signatures=Signatures.by((key.with_suffix(".pub"),)))
    unsigned = register(registry, model, model_dir, own_image="tides:1")
    assert (unsigned.own_image, unsigned.signature) == ("tides:1", "")
    with pytest.raises(SignatureRefused, match="it is not signed"):
        strict.keep(unsigned)
    assert not (home / "bundles" / model / "1").exists()
    signed = register(strict, model, model_dir, run="run2")
    assert register(strict, model, model_dir, run="run2") == signed == registry.bundle_of(model, 2)
    assert strict.keep(signed).is_dir()
    assert "signature" not in client_of(registry).get_run(version_of(registry, signed).run_id).data.tags
    borrowed = unsigned.model_copy(update={"signature": signed.signature, "model_sha256": "0" * 64})
    with pytest.raises(SignatureRefused, match="for other files"):
        strict.fetch(borrowed, tmp_path / "fetched")


def version_of(registry: Registry, bundle: Bundle) -> Any:
    return client_of(registry).get_model_version(bundle.model, str(bundle.version))


def test_trials_become_child_runs(registry: Registry, model: str, model_dir: Path) -> None:
    trials = [
        TrialReport(number=n, params={"l2": 0.1 * n}, metric="roc_auc", value=value, rows_trained=9, rows_validated=3)
        for n, value in enumerate((0.7, None))
    ]
    for _ in range(2):
        register(registry, model, model_dir, trials=trials)
    experiment = client_of(registry).get_experiment_by_name(model)
    children = [
        run
        for run in client_of(registry).search_runs([experiment.experiment_id])
        if "mlflow.parentRunId" in run.data.tags
    ]
    assert sorted((run.data.tags["trial"], run.info.status) for run in children) == [("0", "FINISHED"), ("1", "FAILED")]


def test_registering_again_returns_the_same_version(registry: Registry, model: str, model_dir: Path) -> None:
    first = register(registry, model, model_dir)
    assert register(registry, model, model_dir) == first
    assert len(client_of(registry).search_model_versions(f"name = '{model}'")) == 1
    assert register(registry, model, model_dir, run="run2").version == 2


@pytest.mark.parametrize(
    "dies_at",
    [
        "create_run",
        "log_batch",
        "log_artifacts",
        "create_registered_model",
        "create_model_version",
        "set_registered_model_alias",
        "set_terminated",
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupted_registration_is_completed_not_doubled(  # noqa: PLR0917 - fixtures
    registry: Registry,
    model: str,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: str,
    after: bool,
) -> None:
    name, client = f"{model}_{dies_at}_{after}", client_of(registry)
    real = getattr(type(client), dies_at)

    def die(*args: Any, **kwargs: Any) -> None:
        if after:
            real(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(client), dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            register(registry, name, model_dir)
    bundle = register(registry, name, model_dir)
    assert bundle.version == 1
    versions = client.search_model_versions(f"name = '{name}'")
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    assert (len(versions), [run.info.status for run in runs]) == (1, ["FINISHED"])
    assert registry.aliases(name) == {Alias.CHALLENGER: 1}
    assert registry.fetch(bundle, model_dir.parent / "fetched" / name).is_dir()


@pytest.mark.parametrize("step", ["create_run", "create_model_version"])
def test_two_processes_that_register_the_same_agree_on_one_version(
    registry: Registry,
    model: str,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    name, client = f"{model}_{step}", client_of(registry)
    real = getattr(type(client), step)

    def second(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(type(client), step, second)
        bundle = register(registry, name, model_dir)
    assert bundle.version == 1
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    assert len(client.search_runs([client.get_experiment_by_name(name).experiment_id])) == 1
    assert register(registry, name, model_dir) == bundle


def test_a_folder_that_is_no_model_changes_nothing(registry: Registry, model: str, model_dir: Path) -> None:
    with pytest.raises(NotAModel, match="hash to"):
        register(registry, model, model_dir, model_sha256="0" * 64)
    (model_dir / "MLmodel").unlink()
    with pytest.raises(NotAModel, match="no MLmodel"):
        register(registry, model, model_dir)
    assert client_of(registry).get_experiment_by_name(model) is None


def test_a_fetched_model_is_the_registered_one(registry: Registry, model: str, model_dir: Path, tmp_path: Path) -> None:
    bundle = register(registry, model, model_dir)
    fetched = registry.fetch(bundle, tmp_path / "fetched" / "model")
    assert (fetched / "nested" / "weights.bin").read_bytes() == b"\x01" * 1000
    (fetched / "nested" / "weights.bin").write_bytes(b"spoiled")
    assert registry.fetch(bundle, fetched) == fetched
    assert (fetched / "nested" / "weights.bin").read_bytes() == b"\x01" * 1000
    assert sorted(path.name for path in (tmp_path / "fetched").iterdir()) == ["model"]


def test_byte_code_that_no_digest_covers_does_not_stay_beside_a_model(
    registry: Registry, model: str, model_dir: Path, tmp_path: Path
) -> None:
    bundle = register(registry, model, model_dir)
    fetched = registry.fetch(bundle, tmp_path / "fetched" / "model")
    (fetched / "nested" / "__pycache__").mkdir()
    (fetched / "nested" / "__pycache__" / "prepare.cpython-311.pyc").write_bytes(b"anything")
    assert registry.fetch(bundle, fetched) == fetched
    assert not (fetched / "nested" / "__pycache__").exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: flip(folder / "nested" / "weights.bin"),
        lambda folder: (folder / "nested" / "weights.bin").unlink(),
        lambda folder: (folder / "extra.py").write_text("import os"),
        lambda folder: (folder / "nested" / "weights.bin").rename(folder / "weights.bin"),
    ],
    ids=["one bit", "one file gone", "one file more", "one file moved"],
)
def test_a_tampered_artefact_is_never_handed_out(
    registry: Registry,
    model: str,
    model_dir: Path,
    tmp_path: Path,
    change: Any,
) -> None:
    bundle = register(registry, model, model_dir, run=str(tmp_path))
    change(artefact_dir(registry, bundle))
    with pytest.raises(ArtefactTampered, match="not loaded"):
        registry.fetch(bundle, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_missing_files_are_said_to_be_missing(registry: Registry, model: str, model_dir: Path, tmp_path: Path) -> None:
    bundle = register(registry, model, model_dir)
    artefact_dir(registry, bundle).rename(tmp_path / "elsewhere")
    with pytest.raises(ArtefactMissing, match="backup"):
        registry.fetch(bundle, tmp_path / "fetched")
    with pytest.raises(ArtefactMissing):
        registry.fetch_file(bundle, "no-such.json", tmp_path / "file")


def test_files_come_back_under_their_names(registry: Registry, model: str, model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "odd name.tmp").write_text('{"a": 1}')
    bundle = register(registry, model, model_dir, files={"profile.json": tmp_path / "odd name.tmp"})
    assert registry.fetch_file(bundle, "profile.json", tmp_path / "got" / "p.json").read_text() == '{"a": 1}'
    for _ in range(2):
        registry.attach(bundle, {"report": model_dir, "plots/x.json": tmp_path / "odd name.tmp"})
        assert (registry.fetch_file(bundle, "report", tmp_path / "got" / "report") / "MLmodel").is_file()
    assert registry.fetch_file(bundle, "plots/x.json", tmp_path / "got" / "x").read_text() == '{"a": 1}'


@pytest.mark.filterwarnings("ignore")  # scikit-learn's and MLflow's own
def test_a_real_model_loads_by_its_alias_and_still_verifies(registry: Registry, model: str, tmp_path: Path) -> None:
    import mlflow
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    rows, labels = np.arange(20.0).reshape(-1, 2), [0] * 5 + [1] * 5
    fitted = LogisticRegression().fit(rows, labels)
    mlflow.sklearn.save_model(fitted, str(tmp_path / "model"), pip_requirements=["scikit-learn"])
    bundle = register(registry, model, tmp_path / "model")
    registry.follow(deployment(bundle))
    mlflow.set_tracking_uri(registry._mlflow.uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{model}@champion")
    assert list(loaded.predict(rows)) == list(fitted.predict(rows))
    assert (artefact_dir(registry, bundle) / "registered_model_meta").exists(), "MLflow no longer marks what it loads"
    assert registry.fetch(bundle, tmp_path / "fetched").is_dir()


def deployment(champion: Bundle, previous: Bundle | None = None, epoch: int = 1) -> Deployment:
    return Deployment(model=champion.model, epoch=epoch, change=Change.PROMOTION, champion=champion, previous=previous)


def test_aliases_follow_the_record(registry: Registry, model: str, model_dir: Path) -> None:
    first, second = (register(registry, model, model_dir, run=run) for run in ("run1", "run2"))
    registry.follow(deployment(first))
    assert registry.aliases(model) == {Alias.CHAMPION: 1, Alias.CHALLENGER: 2}
    registry.follow(deployment(second, first, 2))
    assert registry.aliases(model) == {Alias.CHAMPION: 2, Alias.PREVIOUS_CHAMPION: 1}
    assert registry.follow(deployment(second, first, 2)) == {}
    registry.follow(deployment(first, None, 3))
    assert registry.aliases(model) == {Alias.CHAMPION: 1}


def test_a_denied_version_is_marked_with_its_data(registry: Registry, model: str, model_dir: Path) -> None:
    bundle = register(registry, model, model_dir)
    registry.mark_denied(model, 1, "d1", "answers backwards")
    tags = registry.tags(bundle)
    assert (tags["denied"], tags["suspect_data"]) == ("answers backwards", "d1")
    assert registry.challenger(model) is None


def test_local_copies_are_kept_for_champion_and_previous_only(registry: Registry, model: str, model_dir: Path) -> None:
    bundles = [register(registry, model, model_dir, run=f"run{number}") for number in range(4)]
    kept = [registry.keep(bundle) for bundle in bundles]
    registry.forget_all_but(deployment(bundles[2], bundles[1]))
    assert [path.exists() for path in kept] == [False, True, True, True]


def test_what_is_not_ours_is_refused(registry: Registry, model: str, model_dir: Path) -> None:
    register(registry, model, model_dir)
    client_of(registry).create_model_version(model, str(model_dir))
    with pytest.raises(UnknownVersion, match="not registered by Understudy"):
        registry.bundle_of(model, 2)
    with pytest.raises(UnknownVersion, match="not in the registry"):
        registry.bundle_of(model, 99)
    assert registry.aliases("nobody") == {}
    assert registry.challenger("nobody") is None


def test_a_dead_server_is_said_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    registry = Registry("http://ml:s3cret@127.0.0.1:9", "mlflow-artifacts:/", tmp_path)
    started = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="Check that MLflow runs") as told:
        registry.aliases("demand")
    assert "s3cret" not in str(told.value)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"rubbish" * 1000), lambda path: path.mkdir()], ids=["rubbish", "folder"]
)
def test_an_unusable_database_is_said_in_one_sentence(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "mlflow.db")
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path.as_uri(), tmp_path).aliases("demand")


FIRST_USE = """
import sys, threading
from pathlib import Path
from understudy.hooks.registry import Registry
home = Path(sys.argv[1])
def use(): print(Registry(f"sqlite:///{home}/mlflow.db", home.as_uri(), home).aliases("demand"))
threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_many_first_users_make_one_registry(tmp_path: Path) -> None:
    users = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", FIRST_USE, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(PLUGINS)},
            cwd=tmp_path,
        )
        for _ in range(2)
    ]
    told = [user.communicate(timeout=300) for user in users]
    assert [(out.count(b"{}"), err) for out, err in told] == [(3, b"")] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_registry_that_somebody_else_makes_meanwhile_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    real = os.link

    def somebody_is_faster(source: Path, target: Path) -> None:
        real(source, target)
        real(source, target)

    monkeypatch.setattr(os, "link", somebody_is_faster)
    with RegistryClient(uri, tmp_path.as_uri()).asking() as client:
        assert client.search_registered_models() == []


@pytest.fixture(autouse=True)
def _leave_no_tracking_uri() -> Iterator[None]:
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)
