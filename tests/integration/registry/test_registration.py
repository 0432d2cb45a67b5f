"""A version is registered once, whole and signed, and its aliases follow the record."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.registry.registered import client_of, deployment, register, version_of
from tests.keys import key_pair
from understudy.contract.reports import TrialReport
from understudy.contract.words import Alias
from understudy.hooks.registry.errors import NotAModel, SignatureRefused, UnknownVersion
from understudy.hooks.registry.registry import Registry
from understudy.signatures import Signatures


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


def test_what_is_not_ours_is_refused(registry: Registry, model: str, model_dir: Path) -> None:
    register(registry, model, model_dir)
    client_of(registry).create_model_version(model, str(model_dir))
    with pytest.raises(UnknownVersion, match="not registered by Understudy"):
        registry.bundle_of(model, 2)
    with pytest.raises(UnknownVersion, match="not in the registry"):
        registry.bundle_of(model, 99)
    assert registry.aliases("nobody") == {}
    assert registry.challenger("nobody") is None
