"""Where stories play: a stack of its own, emptied before each telling, apart from the user's models and history."""

import os
import shutil
from pathlib import Path

import yaml

from understudy.contract.errors import UnderstudyError
from understudy.contract.load import SPEC_FILE
from understudy.embedded import stack
from understudy.embedded.layout import Layout
from understudy.sample import file
from understudy.settings import PROJECT, Settings, settings
from understudy.story.acts import MODEL

# What says where stages run is the user's; what says where history is kept must not reach a story.
KEPT = ("ISOLATION", "IMAGE", "MEMORY", "CPUS", "STAGE_TIMEOUT", "DOCKER_CONN_ID")
PREFIX = "AIRFLOW__UNDERSTUDY__"
# In the story an hour of the market passes in the twinkling of an eye, and so evidence is counted in seconds. Two busy
# cores serve it all: how long a version waits for one of them says nothing about it.
LIVE: dict[str, object] = {
    # The story says when the monitor looks; a new year finds nobody here.
    "monitor": {"of": "data", "window": "14d", "looks": 1, "schedule": "0 0 1 1 *"},
    "serving": {"timeout_ms": 10_000},
    "shadow": {
        "min_requests": 300,
        "min_labels": 300,
        "block": "1s",
        "max_latency_ratio": 20,
        "deadline": "5m",
    },
    "guard": {
        "min_requests": 100,
        "min_labels": 100,
        "block": "1s",
        "max_latency_ratio": 20,
        "probation": "6m",
    },
}


class CannotEmpty(UnderstudyError):
    """A story's folder cannot be removed."""

    def __init__(self, home: Path, problem: str) -> None:
        super().__init__(f"This starts from nothing, but {home} cannot be removed ({problem}). Remove it by hand.")


def prepare(home: Path) -> tuple[Settings, Layout]:
    """Empty an earlier demo, put sample and declaration in place, and turn this process to the demo."""
    layout = emptied(home)
    file.write_sample()
    declare(home, None)
    return turned_to(home), layout


def emptied(home: Path) -> Layout:
    """Stop and remove what an earlier telling left.

    :raises CannotEmpty: where it cannot be removed.
    """
    layout = Layout(home=home)
    stack.down(layout)
    try:
        shutil.rmtree(home, ignore_errors=False) if home.exists() else None
    except OSError as problem:
        raise CannotEmpty(home, str(problem)) from problem
    return layout


def turned_to(home: Path) -> Settings:
    """Turn this process, and what it starts, to the story's stack."""
    for name in list(os.environ):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in KEPT:
            del os.environ[name]
    os.environ.pop("AIRFLOW_CONFIG", None)
    os.environ |= {
        "UNDERSTUDY_HOME": str(home),
        "AIRFLOW_HOME": str(Layout(home=home).airflow_home),
        f"{PREFIX}MODELS_DIR": str(home / "models"),
    }
    settings.cache_clear()
    return settings()


def declare(home: Path, train: dict[str, object] | None) -> None:
    """Write the demo's copy of the sample's declaration, with a colleague's ``train`` section where one is given."""
    spec = yaml.safe_load((PROJECT / "include" / "models" / MODEL / SPEC_FILE).read_text(encoding="utf-8"))
    spec.pop("retrain", None)  # the story alone decides when something runs
    spec["train"] = train or spec["train"]
    spec |= LIVE
    path = home / "models" / MODEL / SPEC_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    draft.replace(path)
