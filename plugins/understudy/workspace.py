"""Where a run keeps its bulk data: ``<workspace>/<model>/<run>/<task>/``."""

import hashlib
import re
from pathlib import Path

from understudy.contract.cause import MONITOR_PREFIX
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import Fact
from understudy.contract.stage import Artefact, artefact_of
from understudy.contract.words import Isolation

UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def run_key(run_id: str) -> str:
    """Turn an Airflow run id into a short, unique folder name that sorts by time."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{UNSAFE.sub('_', run_id)[:60].strip('.')}-{digest}"


def key_in(dag_id: str, run_id: str) -> str:
    """Name the folder of a DAG's run; a look and a retraining of the same minute have one each."""
    return run_key(f"look__{run_id}" if dag_id.startswith(MONITOR_PREFIX) else run_id)


class RunFolder(Fact):
    """Give the paths of one run of one model below the workspace."""

    workspace: Path
    model: str
    run: str

    @property
    def path(self) -> Path:
        """The run's own folder."""
        return self.workspace / self.model / self.run

    def outputs(self, task: str, map_index: int = -1) -> Path:
        """Where a task's stage leaves its files."""
        return self.path / (task if map_index < 0 else f"{task}-{map_index}")

    def resolve(self, artefact: Artefact) -> Path:
        """Find an artefact that a stage of this run wrote; its path starts at the workspace."""
        return self.workspace / artefact.path

    def describe(self, path: Path) -> Artefact:
        """Describe a file or folder below the workspace."""
        return artefact_of(path, self.workspace)

    def freeze_spec(self, spec: ModelSpec) -> ModelSpec:
        """Keep the declaration that the whole run uses; the first caller decides, later edits wait for the next run."""
        kept = self.path / "spec.json"
        if not kept.exists():
            self._keep(kept, spec.model_dump_json(indent=1, exclude_defaults=False))
        return ModelSpec.model_validate_json(kept.read_text(encoding="utf-8"))

    def keep_isolation(self, isolation: Isolation) -> None:
        """Remember where the run's stages run."""
        self._keep(self.path / "isolation.txt", isolation.value)

    def isolation(self) -> Isolation | None:
        """Tell where the run's earlier stages ran; None before the first."""
        kept = self.path / "isolation.txt"
        return Isolation(kept.read_text(encoding="utf-8")) if kept.exists() else None

    def _keep(self, kept: Path, text: str) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(kept)
