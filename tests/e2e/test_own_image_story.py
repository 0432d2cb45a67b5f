"""A model whose library only its image has, through the whole DAG: trained, promoted, asked, retrained, taken back."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.e2e.test_scoring_in_container import LIBRARY, RECIPE, container_of, containers, told
from tests.integration.conftest import Run, Site, airflow_database, site
from tests.integration.real_gateway import PATIENCE_S, TOKEN, Running, running, until
from understudy.contract.serving import ModelStatus
from understudy.contract.words import Change, Role
from understudy.settings import settings

__all__ = ["airflow_database", "site"]
pytestmark = pytest.mark.docker

MODEL = "tides"
IMAGE = f"tides-story-{os.getpid()}"
TRAINER = """
import moonlib

class Tide:
    def __init__(self, shift):
        self.shift = shift

    def predict(self, frame):
        return moonlib.pull(frame["level"].to_numpy()) + self.shift

def train(frame, params, context):
    return Tide(params["shift"])
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Build two images with the library, as a team does between two versions."""
    context = tmp_path_factory.mktemp("image")
    (context / "moonlib.py").write_text(LIBRARY)
    names = (f"{IMAGE}:1", f"{IMAGE}:2")
    for name in names:
        (context / "Dockerfile").write_text(f"{RECIPE}LABEL of={name}\n")
        told("build", "-q", "-t", name, str(context))
    yield names
    told("rmi", "-f", *names)


@pytest.fixture(scope="module")
def gateway(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("gateway")
    with running(home, name="east") as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", started.url)
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        yield started
    settings.cache_clear()
    until(lambda: containers(home) == [])


def retrain(site: Site, image: str, shift: int) -> Run:
    path = site.declare(
        MODEL,
        task="regression",
        data={"source": str(site.home / "data" / f"{MODEL}.csv"), "time": "at", "target": "height"},
        train={"trainer": "trainer.py:train", "params": {"shift": shift}, "allow_pickle": True},
        # The data need no library of the model's; each container saved is seconds of everybody's CI.
        stages={stage: {"isolation": "docker", "image": image, "memory": "1g"} for stage in ("train", "evaluate")},
        evaluate={"must_beat": []},
        gates=[{"metric": "mae", "margin": 0.5, "ceiling": 100}],
        serving={"memory": "1g"},
    )
    (path.parent / "trainer.py").write_text(TRAINER, encoding="utf-8")
    return site.retrain(MODEL)


def asked(gateway: Running) -> tuple[float, str]:
    """Give what it answers for level 5, and the version that answered."""
    body = {"dataframe_split": {"columns": ["level"], "data": [[5.0]]}}
    answer = httpx.post(f"{gateway.url}/models/{MODEL}/invocations", json=body, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0], answer.headers["x-understudy-version"]


def image_of(container: str | None) -> str:
    assert container is not None
    return told("inspect", "--format", "{{.Config.Labels.of}}", container)


def test_each_version_answers_from_the_image_that_trained_it_and_so_does_the_one_that_is_gone_back_to(
    site: Site, gateway: Running, images: tuple[str, str], tmp_path: Path
) -> None:
    level = np.random.default_rng(1).integers(0, 100, size=3000) * 1.0
    noise = np.random.default_rng(2).normal(scale=10, size=len(level))
    at = pd.date_range("2024-01-01", periods=len(level), freq="h").strftime("%Y-%m-%d %H:%M:%S")
    site.deliver(MODEL, pd.DataFrame({"at": at, "level": level, "height": 3 * level + 1 + noise}))
    for version, (image, shift) in enumerate(zip(images, (0, 1), strict=True), start=1):
        run = retrain(site, image, shift)
        assert (run.state, run.outcome) == ("success", "promoted"), run.sentence
        assert asked(gateway) == (16.0 + shift, str(version))
        assert image_of(container_of(gateway, Role.CHAMPION)) == image
    assert image_of(container_of(gateway, Role.STANDBY)) == images[0]

    back = site.run("rollback", "operations", {}, {"model": MODEL, "reason": "it is a metre too high"})
    assert back.state == "success"
    assert asked(gateway) == (16.0, "1")
    status: ModelStatus = gateway.status()
    assert (status.version, image_of(container_of(gateway, Role.CHAMPION))) == (1, images[0])
    record = site.hooks.deployments.current(MODEL)
    assert record is not None
    assert (record.change, record.champion.own_image) == (Change.ROLLBACK, images[0])
    assert record.champion.image_digest == told("inspect", "--format", "{{.Id}}", images[0])
