"""A version's files: they come back as they were registered, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.registry.registered import artefact_dir, deployment, register
from understudy.hooks.registry.errors import ArtefactMissing, ArtefactTampered
from understudy.hooks.registry.registry import Registry


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


def test_local_copies_are_kept_for_champion_and_previous_only(registry: Registry, model: str, model_dir: Path) -> None:
    bundles = [register(registry, model, model_dir, run=f"run{number}") for number in range(4)]
    kept = [registry.keep(bundle) for bundle in bundles]
    registry.forget_all_but(deployment(bundles[2], bundles[1]))
    assert [path.exists() for path in kept] == [False, True, True, True]
