"""A follower keeps its gateway at the truth, and goes on whatever is down."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from tests.integration.gateway_desk import Desk
from understudy.contract.by import By
from understudy.contract.release import Deployment
from understudy.contract.words import Change
from understudy.hooks.connect import Hooks
from understudy.hooks.declarations import Declarations
from understudy.hooks.follower import Follower
from understudy.hooks.places.gateways import Gateways
from understudy.settings import Settings, settings

MODEL = "demand"


class Place(Desk):
    """A desk whose records nobody sends to its gateways."""

    def write(self, number: int, mirror: int | None = None, previous: int | None = None) -> Deployment:
        current = self.deployments.current(self.model)
        epoch = (current.epoch if current else 0) + 1
        record = Deployment(
            model=self.model,
            epoch=epoch,
            change=Change.PROMOTION,
            champion=self.train(number),
            previous=self.train(previous) if previous else None,
            mirror=self.train(mirror) if mirror else None,
            mirror_share=0.5 if mirror else 0,
        )
        self.deployments.deploy(record, epoch - 1, By(actor="ann", reason="weekly"))
        return record

    def declare(self, **sections: object) -> None:
        spec = {
            "model": self.model,
            "owner": "market-ml",
            "task": "binary_classification",
            "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at", "classes": {"pii": ["name"]}},
            "gates": [{"metric": "roc_auc", "floor": 0.7}],
            "serving": {},
            **sections,
        }
        path = self.home / "models" / self.model / "model.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
    settings.cache_clear()
    yield settings()
    settings.cache_clear()


@pytest.fixture
def place(settled: Settings) -> Iterator[Place]:
    with running("east", "west") as gateways:
        made = Place(MODEL, settled.home, settled.home / "ledger.db", gateways)
        made.registry = Hooks(settled).registry
        made.declare()
        yield made


@pytest.fixture
def follower(place: Place, settled: Settings) -> Follower:
    return Follower.beside(Hooks(settled), place.east.url)


def asked_of(gateway: FakeGateway) -> list[str]:
    asked = [request for request in gateway.asked if request != "PUT /admin/truth"]
    gateway.asked.clear()
    return asked


def test_its_gateway_follows_every_record_and_no_other_does(place: Place, follower: Follower) -> None:
    record = place.write(1)
    report = follower.step()
    assert report.problem is None
    assert place.served() == [(1, 1), (None, 0)]
    order = place.east.orders[MODEL]
    assert (order.record, order.terms.pii) == (record, ("name",))
    assert place.east.truths == [report]
    record = place.write(2, mirror=3, previous=1)
    assert follower.step().problem is None
    assert place.east.orders[MODEL].record == record
    assert all(
        (place.home / "bundles" / MODEL / str(b.version)).is_dir()
        for b in (record.champion, record.previous, record.mirror)
        if b
    )


def test_when_nothing_changed_nothing_is_asked(
    place: Place, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.hooks.follower.LOOK_AGAIN_S", 1_000.0)
    place.write(1)
    follower.step()
    asked_of(place.east)
    for _ in range(3):
        follower.step()
    assert asked_of(place.east) == []
    assert len(place.east.truths) == 4


def test_nothing_serves_yet(place: Place, follower: Follower) -> None:
    assert follower.step().problem is None
    assert asked_of(place.east) == []


def test_a_gateway_that_was_down_is_brought_up_to_date(place: Place, follower: Follower) -> None:
    place.write(1)
    follower.step()
    place.east.is_down = True
    assert "cannot be used" in (follower.step().problem or "")
    place.east.orders.clear()
    place.east.is_down = False
    assert follower.step().problem is None
    assert place.east.version(MODEL) == 1


def test_a_gateway_that_forgot_is_found_out_in_time(
    place: Place, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(1)
    follower.step()
    place.east.orders.clear()
    monkeypatch.setattr("understudy.hooks.follower.LOOK_AGAIN_S", 0.0)
    follower.step()
    assert place.east.version(MODEL) == 1


def test_a_version_that_does_not_load_is_said_and_tried_again(place: Place, follower: Follower) -> None:
    place.write(1)
    place.east.refuses[1] = "it does not load"
    assert "demand, epoch 1: it does not load" in (follower.step().problem or "")
    assert place.east.truths[-1].problem
    place.east.refuses.clear()
    deadline = time.monotonic() + 60
    while follower.step().problem and time.monotonic() < deadline:
        time.sleep(0.02)
    assert place.east.version(MODEL) == 1


def test_a_version_that_never_loads_is_not_tried_every_second(
    place: Place, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.hooks.follower.FIRST_PAUSE_S", 1_000.0)
    monkeypatch.setattr("understudy.hooks.follower.LONGEST_PAUSE_S", 1_000.0)
    place.write(1)
    place.east.refuses[1] = "it does not load"
    follower.step()
    asked_of(place.east)
    for _ in range(3):
        assert "it does not load" in (follower.step().problem or "")
    assert asked_of(place.east) == []
    del place.east.refuses[1]
    place.write(2)
    assert follower.step().problem is None


def test_a_batch_model_is_left_alone(place: Place, follower: Follower) -> None:
    place.declare(serving=None)
    place.write(1)
    assert follower.step().problem is None
    assert asked_of(place.east) == []


def test_changed_terms_reach_the_gateway(place: Place, follower: Follower) -> None:
    place.write(1)
    follower.step()
    place.declare(serving={"max_rows": 77})
    follower.step()
    assert place.east.orders[MODEL].terms.serving.max_rows == 77


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "broken"])
def test_the_last_good_terms_outlive_the_declaration(place: Place, follower: Follower, is_gone: bool) -> None:
    place.write(1)
    follower.step()
    path = place.home / "models" / MODEL / "model.yaml"
    if is_gone:
        path.unlink()
    else:
        path.write_text("model: [", encoding="utf-8")
    place.write(2)
    assert follower.step().problem
    assert place.east.version(MODEL) == 2


def test_a_damaged_ledger_is_said_and_the_gateway_serves_on(place: Place, follower: Follower) -> None:
    place.write(1)
    follower.step()
    ledger = place.home / "ledger.db"
    kept = ledger.read_bytes()
    ledger.write_bytes(b"no database at all" * 100)
    assert "not a database" in (follower.step().problem or "")
    assert place.east.version(MODEL) == 1
    ledger.write_bytes(kept)
    assert follower.step().problem is None


def test_with_the_registry_down_what_is_at_hand_serves(place: Place, settled: Settings) -> None:
    record = place.write(1)
    place.registry.keep(record.champion)
    broken = settled.model_copy(update={"mlflow_tracking_uri": f"sqlite:///{settled.home}"})
    follower = Follower.beside(Hooks(broken), place.east.url)
    assert follower.step().problem is None
    place.write(2)
    assert "cannot follow" in (follower.step().problem or "")
    assert place.east.version(MODEL) == 1


def test_it_runs_until_it_is_stopped(place: Place, settled: Settings) -> None:
    stop = threading.Event()

    class Stopping(Declarations):
        def terms(self, model: str) -> object:  # type: ignore[override]
            stop.set()
            return super().terms(model)

    place.write(1)
    gateways = Gateways((place.east.url,), TOKEN, settled.home / "bundles")
    Follower(Hooks(settled), gateways, Stopping(settled.models_dir)).run_forever(stop, interval_s=0.01)
    assert place.east.version(MODEL) == 1
