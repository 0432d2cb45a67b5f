"""Promotion, rehearsal, rollback and a follower against two real gateways, one of which shares no files with us."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.integration.fake_gateway import TOKEN
from tests.integration.flood import Flood
from tests.integration.gateway_desk import Desk
from tests.integration.gateway_process import PATIENCE_S, gateway
from tests.integration.trained import trained
from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.release import Bundle
from understudy.contract.serving import ModelStatus, RehearsalQuery
from understudy.contract.words import Change, MlTask
from understudy.hooks.declarations import Declarations
from understudy.hooks.follower import Follower
from understudy.hooks.places.conformance import check_target
from understudy.hooks.places.gateway_errors import GatewayRefused
from understudy.hooks.places.gateways import Gateways
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer

BODY = json.dumps({"inputs": {"a": 0.5, "b": -1.0}}).encode()


class RealDesk(Desk):
    """A desk whose models are real."""

    def train(self, number: int) -> Bundle:
        folder = self.home / self.model / f"trained{number}"
        if not folder.exists():
            _save_model(folder, self.model, number)
        return self.registry.register(trained(self.model, number, folder))

    def served(self) -> list[tuple[int | None, int]]:
        found = self.gateways.status(self.model)
        return [(status.version, status.epoch) for status in found if isinstance(status, ModelStatus)]

    def ask(self, url: str) -> int:
        answer = httpx.post(
            f"{url}/models/{self.model}/invocations",
            content=BODY,
            headers={"Content-Type": "application/json"},
            timeout=PATIENCE_S,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return int(answer.headers["X-Understudy-Version"])


def _save_model(folder: Path, model: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(random.normal(size=(200, 2)), columns=["a", "b"])
    labels = (rows["a"] + rows["b"] > 0).astype(int).to_numpy()
    features = Features(names=("a", "b"))
    fitted = build_pipeline(estimators_for(MlTask.BINARY)["logistic_regression"], features, {}, seed).fit(rows, labels)
    facts = ModelFacts(
        model=model,
        estimator="logistic_regression",
        task=MlTask.BINARY,
        target="y",
        features=features,
        inputs=("a", "b"),
        classes=(0, 1),
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_model(folder, Scorer(facts, fitted), rows, None, datetime(2026, 1, 1, tzinfo=timezone.utc))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealDesk]:
    home = tmp_path_factory.mktemp("real")
    with ExitStack() as stack:
        east = stack.enter_context(gateway("east", home / "east", home / "bundles"))
        west = stack.enter_context(gateway("west", home / "west", home / "bundles-of-the-west"))
        urls: Any = (SimpleNamespace(url=east), SimpleNamespace(url=west))
        yield RealDesk("demand", home, home / "ledger.db", urls)


def test_a_model_goes_forward_is_rehearsed_against_and_goes_back(desk: RealDesk) -> None:
    first = desk.raise_champion(1)
    assert (first.epoch, desk.served()) == (1, [(1, 1), (1, 1)])
    assert (desk.home / "bundles-of-the-west" / "demand" / "1" / "MLmodel").is_file()

    promoted = desk.promote(desk.bless(desk.train(2)), within_s=PATIENCE_S, mirror=1.0)
    assert desk.served() == [(2, 2), (2, 2)]
    assert promoted.mirror == first.champion
    ended = desk.end(run="run2", within_s=PATIENCE_S)
    assert ended is not None
    assert ended.change is Change.MIRROR_ENDED

    since = datetime.now(timezone.utc)
    assert desk.rehearse(desk.train(3), within_s=PATIENCE_S).epoch == 4
    query = RehearsalQuery(champion_version=2, mirror_version=3, since=since, block_s=3600)
    deadline = time.monotonic() + PATIENCE_S
    report = desk.gateways.rehearsal("demand", query)
    while report.pairs < 3 and time.monotonic() < deadline:
        assert {desk.ask(desk.east.url), desk.ask(desk.west.url)} == {2}
        report = desk.gateways.rehearsal("demand", query)
    assert report.pairs >= 3
    assert report.gateways == ("east", "west")

    under_load(desk)


def under_load(desk: RealDesk) -> None:
    """Roll back under ten thousand requests: none fails, and none sent after it is answered by the old version."""
    urls = [f"{gateway.url}/models/{desk.model}/invocations" for gateway in (desk.east, desk.west)]
    flood = Flood(urls, BODY, 10_000)
    flood.start()
    flood.wait_for(2_000)
    record = desk.rollback(within_s=PATIENCE_S)
    rolled_back = time.monotonic()
    flood.join(PATIENCE_S * 5)
    assert len(flood.answers) == 10_000
    assert {answer.status for answer in flood.answers} == {200}
    assert {answer.version for answer in flood.answers} == {1, 2}
    assert {answer.version for answer in flood.answers if answer.asked > rolled_back} == {1}
    assert (record.epoch, desk.served()) == (5, [(1, 5), (1, 5)])
    assert [ack.version for ack in desk.deployments.acknowledged("demand", 5)] == [1, 1]


def test_a_gateway_keeps_the_rules_of_a_serving_target(desk: RealDesk) -> None:
    model_files = desk.registry.keep(desk.train(1))
    for number in range(2):
        target = partial(desk.gateways.targets.__getitem__, number)
        found = check_target(target, desk.terms, model_files, desk.home / "bundles")
        assert found == []


def test_a_version_that_is_not_what_was_registered_is_refused_before_anything_is_written(desk: RealDesk) -> None:
    if desk.deployments.current("demand") is None:
        desk.raise_champion(1)
    before = desk.deployments.current("demand")
    challenger = desk.train(7)
    blessing = desk.bless(challenger)
    kept = desk.registry.keep

    def keep_and_spoil(bundle: Bundle) -> Path:
        folder = kept(bundle)
        (folder / "model.skops").write_bytes(b"something else")
        return folder

    desk.registry.keep = keep_and_spoil  # type: ignore[method-assign]
    try:
        with pytest.raises(GatewayRefused):
            desk.promote(blessing)
    finally:
        desk.registry.keep = kept  # type: ignore[method-assign]
    assert desk.deployments.current("demand") == before


def test_a_follower_brings_a_new_gateway_to_the_truth(desk: RealDesk, tmp_path: Path) -> None:
    if desk.deployments.current("demand") is None:
        desk.raise_champion(1)
    record = desk.deployments.current("demand")
    assert record is not None
    path = desk.home / "models" / "demand" / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "{model: demand, owner: market-ml, task: binary_classification, serving: {}, gates: [{metric: roc_auc, floor: "
        "0.7}], data: {source: /nowhere/x.csv, target: y, time: at}}",
        encoding="utf-8",
    )
    with gateway("north", tmp_path / "north", desk.home / "bundles") as url:
        gateways = Gateways((url,), TOKEN, desk.home / "bundles")
        hooks: Any = SimpleNamespace(deployments=desk.deployments, registry=desk.registry)
        follower = Follower(hooks, gateways, Declarations(desk.home / "models"))
        deadline = time.monotonic() + PATIENCE_S
        report = follower.step()
        while report.problem and time.monotonic() < deadline:
            report = follower.step()
        assert report.problem is None
        (status,) = gateways.status("demand")
        assert isinstance(status, ModelStatus)
        assert (status.version, status.epoch) == (record.champion.version, record.epoch)
        health = httpx.get(f"{url}/health", timeout=PATIENCE_S, trust_env=False).json()
        assert health["truth"]["problem"] is None
