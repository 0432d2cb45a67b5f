"""StageOperator with a real engine: worker killed, task killed, cleared; and the example of a team's own operator."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.examples.custom_operator.balance import BalanceCheckOperator
from tests.unit.operators.probe import Store, context
from understudy.contract.stage import artefact_of
from understudy.operators.stage.stage import StageOperator
from understudy.operators.stage_errors import InputLeadsOut, StageTimedOut
from understudy.runners.choose import choose_runner
from understudy.runners.errors import ImageWithoutEntryPoint
from understudy.settings import settings

pytestmark = pytest.mark.docker

RUN = "r"  # as the killed worker calls it
PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
CODE = """
import os, time
from understudy.stages import StageOutput, stage


@stage
def slow(context):
    print("asleep", flush=True)
    time.sleep(context.request.params["seconds"])
    return StageOutput(report={"host": os.uname().nodename})
"""
WORKER = """
import json, sys
from datetime import datetime, timezone
from types import SimpleNamespace
from understudy.operators.stage.stage import StageOperator


class Store(dict):
    def set(self, key, value):
        self[key] = value
        open(sys.argv[1], "w").write(json.dumps(self))


ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=1, max_tries=2, stats_tags={})
due = SimpleNamespace(run_after=datetime(2026, 3, 1, tzinfo=timezone.utc))
task = StageOperator(task_id="t", stage="probe:slow", model="undeclared", inputs={"code": "code"},
                     stage_params={"seconds": 4})
task.execute(
    {"ti": ti, "run_id": "r", "dag_run": due, "params": {}, "task_state_store": Store()})
"""
SPEC = """
model: prices
owner: team
task: binary_classification
data: {source: data/prices.csv, time: at, target: up}
gates: [{metric: roc_auc, floor: 0.6}]
"""


@pytest.fixture(autouse=True, params=["copied", "mounted"])
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    if request.param == "mounted":
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON", str(tmp_path / "workspace"))
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "docker")
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    (tmp_path / "workspace" / "code").mkdir(parents=True)
    (tmp_path / "workspace" / "code" / "probe.py").write_text(CODE)
    (tmp_path / "models" / "prices").mkdir(parents=True)
    (tmp_path / "models" / "prices" / "model.yaml").write_text(SPEC)
    yield tmp_path
    for left in jobs():
        choose_runner("docker", settings()).kill(left["id"])
    settings.cache_clear()


def jobs() -> list[dict[str, str]]:
    return choose_runner("docker", settings()).leftovers()


def slow(seconds: float, **kwargs: Any) -> StageOperator:
    return StageOperator(
        task_id="t",
        stage="probe:slow",
        model="undeclared",
        inputs={"code": "code"},
        stage_params={"seconds": seconds},
        **kwargs,
    )


def start_worker(noted: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(noted)], env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_retry_of_a_killed_worker_takes_up_the_same_container(home: Path) -> None:
    noted = home / "store.json"
    worker = start_worker(noted)
    while not noted.exists() or "understudy_job" not in noted.read_text():
        assert worker.poll() is None
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    (before,) = jobs()
    store = Store(json.loads(noted.read_text()))
    answer = slow(4).execute(context(store, run_id=RUN, try_number=2))
    assert json.loads(before["id"])["container"].startswith(answer["report"]["host"])
    assert store == {}
    assert jobs() == []
    again = slow(0).execute(context(store, run_id=RUN, try_number=3))
    assert again["report"]["host"] != answer["report"]["host"]


def test_the_time_limit_removes_the_container() -> None:
    from datetime import timedelta

    with pytest.raises(StageTimedOut):
        slow(60, timeout=timedelta(seconds=1)).execute(context(run_id=RUN))
    assert jobs() == []


def test_an_image_that_cannot_start_is_named_by_the_task() -> None:
    image = f"stage-in-docker-{os.getpid()}:1"
    recipe = f'FROM {settings().image}\nENTRYPOINT ["no-such-program"]\n'
    subprocess.run(
        ["docker", "build", "-q", "-t", image, "-"], input=recipe, text=True, check=True, capture_output=True
    )
    try:
        with pytest.raises(ImageWithoutEntryPoint, match="no-such-program"):
            slow(0, image=image).execute(context(run_id=RUN))
    finally:
        subprocess.run(["docker", "rmi", "-f", image], check=True, capture_output=True)
    assert jobs() == []


@pytest.mark.parametrize("isolation", ["docker", "process"])
@pytest.mark.parametrize("link", ["trainer.py", "note.txt"])
def test_a_link_out_of_the_models_folder_ends_the_task_without_a_retry(
    home: Path, link: str, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OwnCode(StageOperator):
        def build_request(self, context: Any, spec: Any, folder: Any) -> Any:
            return self.request(context, spec), {"code": home / "models" / "prices"}

    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", isolation)
    settings.cache_clear()
    (home / "elsewhere").write_text("raise ValueError('TOPSECRET')")
    (home / "models" / "prices" / "probe.py").write_text(CODE)
    (home / "models" / "prices" / link).symlink_to(home / "elsewhere")
    with pytest.raises(InputLeadsOut, match=f"'{link}' in .*prices leads out of that folder") as refused:
        OwnCode(task_id="t", stage="probe:slow", model="prices").execute(context(run_id=RUN))
    assert isinstance(refused.value, AirflowFailException)
    assert "TOPSECRET" not in str(refused.value)
    assert jobs() == []


@pytest.mark.parametrize("isolation", ["docker", "process"])
def test_a_teams_own_operator_measures_in_its_container_and_judges_here(
    home: Path, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", isolation)
    settings.cache_clear()
    window = home / "workspace" / "prices" / "window.parquet"
    window.parent.mkdir()
    pl.DataFrame({"up": [1, 1, 1, 0]}).write_parquet(window)
    data = {"data": artefact_of(window, home / "workspace").model_dump()}
    fair = BalanceCheckOperator(task_id="t", model="prices", data=data, max_share=0.8)
    assert fair.execute(context(run_id=RUN)) == {"rows": 4, "label": "1", "share": 0.75}
    with pytest.raises(AirflowFailException, match=r"'1' has 0\.75"):
        BalanceCheckOperator(task_id="t", model="prices", data=data, max_share=0.7).execute(context(run_id=RUN))
