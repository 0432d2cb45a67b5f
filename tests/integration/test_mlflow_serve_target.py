"""A model that plain ``mlflow models serve`` serves: promoted, taken back and looked at as at our gateways."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from include.examples.mlflow_serve.state import State
from include.examples.mlflow_serve.target import MlflowServe
from tests.integration.fake_gateway import FakeGateway
from tests.integration.gateway_desk import Desk
from tests.integration.real_gateway import MODEL, ROW, train
from tests.integration.trained import trained
from understudy.cli.app import app
from understudy.contract.load import load_model
from understudy.contract.release import Bundle
from understudy.contract.serving import PrepareOrder
from understudy.contract.serving_target import TargetSetup
from understudy.hooks.connect import Hooks
from understudy.hooks.places.conformance import check_target
from understudy.hooks.places.serving_terms import terms_of
from understudy.settings import PROJECT, settings

WITHIN_S = 300.0
SWITCH = """
import socket, sys, uvicorn
from pathlib import Path
from include.examples.mlflow_serve.switch import create_switch
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(create_switch(Path(sys.argv[1])), log_level="warning")).run(sockets=[door])
"""


class ElsewhereDesk(Desk):
    """A desk whose versions are real models."""

    trained: dict[int, tuple[Path, Bundle]]

    def train(self, number: int) -> Bundle:
        folder, _ = self.trained[number]
        return self.registry.register(trained(self.model, number, folder))

    def raise_slowly(self, number: int) -> None:
        """Promote; the server may take longer to start on a busy machine than a promotion waits."""
        blessing = self.bless(self.train(number))
        self.registry.keep(blessing.challenger)
        self.gateways.prepare(PrepareOrder(bundle=blessing.challenger, terms=self.terms), WITHIN_S)
        self.promote(blessing, within_s=WITHIN_S)


class Caller(threading.Thread):
    """Ask without pause; note the version that answered, or what went wrong."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.ended, self.seen = f"{url}/models/{MODEL}/invocations", threading.Event(), list[str]()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=WITHIN_S) as client:
            while not self.ended.wait(0.01):
                answer = client.post(self.url, json=ROW)
                is_fine = answer.status_code == 200 and len(answer.json()["predictions"]) == 1
                self.seen.append(answer.headers["x-served-version"] if is_fine else answer.text)


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("switch")
    process = subprocess.Popen(
        [sys.executable, "-c", SWITCH, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")])},
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", home
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN_S)


@pytest.fixture(scope="module")
def desk(switch: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElsewhereDesk]:
    url, folder = switch
    home = tmp_path_factory.mktemp("elsewhere")
    spec = {
        "model": MODEL,
        "owner": "market-ml",
        "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
        "serving": {
            "target": "include.examples.mlflow_serve.target:MlflowServe",
            "options": {"home": str(folder), "url": url},
        },
    }
    path = home / "models" / MODEL / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(home))
        patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
        settings.cache_clear()
        hooks = Hooks(settings())
        made = ElsewhereDesk(MODEL, home, home / "ledger.db", (FakeGateway("none"), FakeGateway("none")))
        made.trained = train(home / "trained")
        made.terms = terms_of(load_model(home / "models", MODEL))
        places = hooks.places(made.terms)
        assert places is not None
        made.gateways = places
        try:
            yield made
        finally:
            places.targets[0].forget(MODEL, WITHIN_S)
    settings.cache_clear()


def typed(*words: str) -> Any:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_it_goes_forward_and_back_and_no_caller_notices(desk: ElsewhereDesk, switch: tuple[str, Path]) -> None:
    url, folder = switch
    desk.raise_slowly(1)
    caller = Caller(url)
    caller.start()
    desk.raise_slowly(2)
    assert desk.is_confirmed()
    told = typed("rollback", MODEL, "--reason", "complaints")
    assert (told["champion"]["version"], [ack["gateway"] for ack in told["acks"]], told["lagging"]) == (1, [url], [])
    answered_after = len(caller.seen)
    (status,) = typed("status", MODEL)
    assert [(place["gateway"], place["version"], place["lag"]) for place in status["replicas"]] == [(url, 1, 0)]
    found = CliRunner().invoke(app, ["doctor", "--json"])
    assert f"{url} serves version 1 of {MODEL}; warm processes: 1" in found.stdout
    while len(caller.seen) < answered_after + 20:
        assert caller.is_alive()
        threading.Event().wait(0.05)
    caller.ended.set()
    caller.join(WITHIN_S)
    assert [version for at, version in enumerate(caller.seen) if at == 0 or caller.seen[at - 1] != version] == list(
        "121"
    )
    assert set(caller.seen[answered_after + 1 :]) == {"1"}
    assert {server.version for server in State(folder, MODEL).servers()} == {1}


def test_the_example_keeps_all_the_rules(desk: ElsewhereDesk, switch: tuple[str, Path]) -> None:
    url, folder = switch
    setup = TargetSetup(options={"home": str(folder), "url": url}, bundles=desk.home / "bundles")
    assert check_target(lambda: MlflowServe(setup), desk.terms, desk.trained[3][0], setup.bundles) == []
