"""Write a trained model into MLflow: a run with its numbers and files, child runs for the trials, then the version."""

import json
import math
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from understudy.contract.declared import Fact, sha256_of
from understudy.contract.reports import TrialReport
from understudy.contract.stage import artefact_of
from understudy.hooks.registry.client import RegistryClient, is_there_already
from understudy.hooks.registry.errors import NotAModel, RegistryRefused

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY = "registration"
BATCH = 100  # MLflow's limit of params in one call
_UNFIT_FOR_A_NAME = re.compile(r"[^A-Za-z0-9_\-. :/]")


class Provenance(Fact):
    """Say what made a model, so that it can be made again, and judged and served as it was."""

    data_version: str
    spec_sha256: str
    code_commit: str
    image_digest: str
    own_image: str = ""
    """The image that the declaration asks for; empty where the deployment's own trained it."""
    decision_threshold: float | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Give it as a version's tags, which are texts."""
        threshold = "" if self.decision_threshold is None else repr(float(self.decision_threshold))
        told = self.model_dump(exclude={"decision_threshold"})
        # Drift is measured against the window that it was trained on.
        return {**told, "reference_data": self.data_version, "decision_threshold": threshold}


class Registration(Fact):
    """Say what to register: the model's folder, where it comes from, what was measured."""

    model: str
    run: str
    model_dir: Path
    model_sha256: str
    provenance: Provenance
    params: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    own_tags: dict[str, str] = Field(default_factory=dict)
    """What else the caller wants written on the version."""
    trials: tuple[TrialReport, ...] = ()
    files: dict[str, Path] = Field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """Give the tags of the version and of the run."""
        return {**self.own_tags, **self.provenance.tags, "run": self.run, "model_sha256": self.model_sha256}

    @property
    def key(self) -> str:
        """Identify the registration: the same artefact of the same run is the same version."""
        return sha256_of([self.model, self.run, self.model_sha256])[:32]

    @property
    def folder(self) -> str:
        """Where the run keeps the model: named by its content, so that no half-written other one can mix with it."""
        return f"model-{self.model_sha256[:12]}"


def check_folder(registration: Registration) -> None:
    """Raise NotAModel unless the folder holds the very MLflow model that the stage described."""
    folder = registration.model_dir
    if not (folder / "MLmodel").is_file():
        raise NotAModel(registration.model, f"{folder} holds no MLmodel file")
    found = artefact_of(folder, folder.parent).sha256
    if found != registration.model_sha256:
        said = registration.model_sha256[:12]
        raise NotAModel(registration.model, f"its files hash to {found[:12]}, not to {said} as the training said")


def write_run(registry: RegistryClient, registration: Registration) -> tuple[str, str]:
    """Write, or complete, the registration's run; return its id and where the model lies."""
    experiment = _experiment(registry, registration.model)
    with registry.asking() as client:
        run = _run(client, experiment, registration)
        run_id = run.info.run_id
        log_numbers(client, run, registration.params, registration.metrics)
        _log_trials(client, experiment, run_id, registration.trials)
        client.log_artifacts(run_id, str(registration.model_dir), registration.folder)
        log_files(client, run_id, registration.files)
        return run_id, f"{run.info.artifact_uri}/{registration.folder}"


def registered_version(registry: RegistryClient, registration: Registration) -> int | None:
    """Say which version the registration has made already."""
    with registry.asking() as client:
        same = client.search_model_versions(f"name = '{registration.model}' and tag.{KEY} = '{registration.key}'")
    return min((int(version.version) for version in same), default=None)


def create_version(
    registry: RegistryClient, registration: Registration, run_id: str, source: str, signature: str
) -> int:
    """Create the registration's version, with all its tags; of several processes that do so at once, one succeeds."""
    try:
        with registry.asking() as client:
            client.create_registered_model(registration.model)
    except RegistryRefused as refused:
        if not is_there_already(refused):
            raise
    with registry.asking() as client:
        mine = client.create_model_version(
            registration.model,
            source,
            run_id=run_id,
            tags={**registration.tags, KEY: registration.key, "signature": signature},
        )
    first = registered_version(registry, registration) or int(mine.version)
    if first != int(mine.version):
        with registry.asking() as client:
            client.delete_model_version(registration.model, str(mine.version))  # another process was faster
    return first


def write_evidence(
    registry: RegistryClient, model: str, name: str, files: Mapping[str, Path], metrics: Mapping[str, float]
) -> None:
    """Write a run of its own that belongs to no version, with its numbers and files."""
    experiment = _experiment(registry, model)
    with registry.asking() as client:
        run = client.create_run(experiment, run_name=name)
        log_numbers(client, run, {}, metrics)
        log_files(client, run.info.run_id, files)
        client.set_terminated(run.info.run_id)


def log_files(client: "MlflowClient", run_id: str, files: Mapping[str, Path]) -> None:
    """Log files and folders under the names that they are given."""
    for name, path in files.items():
        if path.is_dir():
            client.log_artifacts(run_id, str(path), name)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                renamed = Path(scratch) / Path(name).name
                shutil.copyfile(path, renamed)
                parent = Path(name).parent.as_posix()
                client.log_artifact(run_id, str(renamed), None if parent == "." else parent)


def _experiment(registry: RegistryClient, model: str) -> str:
    try:
        with registry.asking() as client:
            known = client.get_experiment_by_name(model)
            if known is None:
                return client.create_experiment(model, artifact_location=f"{registry.artifacts.rstrip('/')}/{model}")
    except RegistryRefused as refused:
        if not is_there_already(refused):
            raise
        with registry.asking() as client:
            known = client.get_experiment_by_name(model)
    if known is None or known.lifecycle_stage != "active":
        raise RegistryRefused(registry.name, f"the experiment {model!r} was deleted; restore it in MLflow first")
    return str(known.experiment_id)


def _run(client: "MlflowClient", experiment: str, registration: Registration) -> "Run":
    query = f"tags.{KEY} = '{registration.key}'"
    oldest_first = ["attributes.start_time ASC", "attributes.run_id ASC"]
    known = client.search_runs([experiment], query, order_by=oldest_first)
    if not known:
        tags = {**registration.tags, KEY: registration.key}
        mine = client.create_run(experiment, tags=tags, run_name=registration.run)
        known = client.search_runs([experiment], query, order_by=oldest_first)
        if known[0].info.run_id != mine.info.run_id:
            client.delete_run(mine.info.run_id)  # another process registers the same; its run is the older one
    return known[0]


def log_numbers(
    client: "MlflowClient",
    run: "Run",
    params: Mapping[str, Any],
    metrics: Mapping[str, float | None],
) -> None:
    """Log what the run does not have yet; a number that is no number is left out."""
    from mlflow.entities import Metric, Param

    written = [
        Param(_name(key), value if isinstance(value, str) else json.dumps(value, default=str))
        for key, value in params.items()
        if _name(key) not in run.data.params
    ]
    for start in range(0, len(written), BATCH):
        client.log_batch(run.info.run_id, params=written[start : start + BATCH])
    measured = [
        Metric(_name(key), value, run.info.start_time, 0)
        for key, value in metrics.items()
        if value is not None and math.isfinite(value) and _name(key) not in run.data.metrics
    ]
    if measured:
        client.log_batch(run.info.run_id, metrics=measured)


def _log_trials(client: "MlflowClient", experiment: str, parent: str, trials: Sequence[TrialReport]) -> None:
    if not trials:
        return
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'", max_results=10_000)
    by_number = {run.data.tags.get("trial"): run for run in children}
    for trial in trials:
        known = by_number.get(str(trial.number))
        run = known or client.create_run(
            experiment,
            run_name=f"trial {trial.number}",
            tags={"mlflow.parentRunId": parent, "trial": str(trial.number)},
        )
        if run.info.status == "RUNNING":
            rows = {"rows_trained": trial.rows_trained, "rows_validated": trial.rows_validated}
            log_numbers(client, run, {**trial.params, **rows}, {trial.metric: trial.value})
            client.set_terminated(run.info.run_id, "FAILED" if trial.value is None else "FINISHED")


def _name(key: str) -> str:
    return _UNFIT_FOR_A_NAME.sub("_", key)[:250]
