"""Where the stages of a run are: ``auto`` chooses once, and puts no process in the place of a declared container."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.operators.probe import context, operator
from understudy.contract.declaration.train import RuntimeSpec
from understudy.contract.words import Isolation
from understudy.operators.stage import plan as stage_plan
from understudy.operators.stage.plan import isolation_of, runner_of
from understudy.runners.docker import DockerRunner
from understudy.runners.engine import local_client
from understudy.runners.errors import EngineUnreachable
from understudy.settings import settings


class Engine:
    """Answer, as far as choosing needs."""

    def __init__(self, _timeout_s: float) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def auto(probe_home: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "auto")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    settings.cache_clear()
    return monkeypatch


@pytest.mark.parametrize("needs", [{"image": "team/torch:1"}, {"gpus": 1}], ids=str)
def test_what_only_a_container_has_is_never_replaced_by_a_process(auto: pytest.MonkeyPatch, needs: Any) -> None:
    runtime = RuntimeSpec(**needs).over(settings().runtime)
    with pytest.raises(EngineUnreachable, match="Start it"):
        runner_of(isolation_of(runtime))


def test_an_engine_that_a_connection_names_is_never_replaced_by_a_process(auto: pytest.MonkeyPatch) -> None:
    auto.setenv("AIRFLOW__UNDERSTUDY__DOCKER_CONN_ID", "docker_default")
    settings.cache_clear()
    assert isolation_of(settings().runtime) == "docker"


def test_a_person_may_still_ask_for_processes(auto: pytest.MonkeyPatch) -> None:
    assert isolation_of(RuntimeSpec(isolation="process", image="team/torch:1").over(settings().runtime)) == "process"


def test_without_an_engine_the_stage_is_a_process_and_its_log_says_so(
    auto: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert operator("count").execute(context())["report"]["started"] > 0
    assert "No Docker engine answers, so the stages of this run are processes" in capsys.readouterr().out


def test_a_run_that_began_in_containers_waits_for_its_engine(auto: pytest.MonkeyPatch) -> None:
    task = operator("count")
    answering: Any = Engine
    auto.setattr(stage_plan, "engine_of", lambda _: answering)
    auto.setattr(DockerRunner, "image_digest", lambda *_: "sha256:1")
    assert task._plan(context()).isolation == Isolation.DOCKER
    auto.setattr(stage_plan, "engine_of", lambda _: local_client)
    with pytest.raises(EngineUnreachable):
        task._plan(context())
