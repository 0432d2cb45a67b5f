"""What was taken back at gateways while the ledger was down reaches the ledger, once, and everybody follows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from tests.integration.gateway_desk import Desk
from understudy.cli.app import app
from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass, GlassAcknowledgement
from understudy.contract.by import By
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.break_glass import record_break_glass
from understudy.hooks.connect import Hooks
from understudy.hooks.errors import NothingToRollBackTo
from understudy.hooks.follower import Follower
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.settings import settings


class Place(Desk):
    """A desk with followers, and a ledger that can be taken away."""

    ledger: Path

    @contextmanager
    def without_ledger(self) -> Iterator[None]:
        """Put a folder where the ledger was: it can be neither read nor written."""
        away = self.ledger.with_suffix(".away")
        self.ledger.rename(away)
        self.ledger.mkdir()
        yield
        self.ledger.rmdir()
        away.rename(self.ledger)

    def follower(self, gateway: FakeGateway) -> Follower:
        return Follower.beside(Hooks(settings()), gateway.url)

    def break_at(self, gateway: FakeGateway, actor: str = "ann", reason: str = "it refuses everybody") -> BrokenGlass:
        one = settings().model_copy(update={"gateways": gateway.url})
        gateways = Hooks(one).gateways
        assert gateways is not None
        (ack,) = gateways.break_glass(self.model, BreakGlassOrder(actor=actor, reason=reason))
        assert isinstance(ack, GlassAcknowledgement)
        return ack.glass

    def told(self) -> list[tuple[str, str]]:
        entries = self.deployments.ledger.entries(self.model, [EntryKind.BROKE_GLASS])
        return [(entry.actor, str(entry.facts["gateway"])) for entry in entries]

    def champions(self) -> list[tuple[int, int, Change]]:
        records = [served.deployment for served in self.deployments.history(self.model)]
        return [(record.epoch, record.champion.version, record.change) for record in records]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("break-glass")


@pytest.fixture
def place(
    home: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Give a model and a ledger of its own in a shared registry, which is slow to make."""
    model = f"m{abs(hash(request.node.name))}"
    spec = {
        "model": model,
        "owner": "market-ml",
        "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "gates": [{"metric": "roc_auc", "floor": 0.7}],
        "serving": {},
    }
    path = tmp_path / "models" / model / "model.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    ledger = tmp_path / "ledger.db"
    with running("east", "west") as gateways:
        monkeypatch.setenv("UNDERSTUDY_HOME", str(home))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__LEDGER_URL", f"sqlite:///{ledger}")
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", ",".join(gateway.url for gateway in gateways))
        monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        settings.cache_clear()
        made = Place(model, home, ledger, gateways)
        made.ledger = ledger
        made.registry = Hooks(settings()).registry
        made.raise_champion(1)
        made.raise_champion(2)
        yield made
        assert made.deployments.ledger.verify().ok
    settings.cache_clear()


def typed(*words: str, expect: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == expect, result.output
    return result.output


def test_the_ledger_hears_of_it_and_every_replica_and_alias_follows(place: Place) -> None:
    follower = place.follower(place.east)
    assert follower.step().problem is None
    with place.without_ledger():
        glass = place.break_at(place.east)
        for _ in range(3):
            assert "ledger" in (follower.step().problem or "")
        assert place.served() == [(1, 2), (2, 2)]

    assert follower.step().problem is None
    assert place.served() == [(1, 3), (1, 3)]
    assert place.champions()[-1] == (3, 1, Change.ROLLBACK)
    served = place.deployments.history(place.model)[-1]
    assert (served.actor, served.is_confirmed) == ("ann", True)
    assert served.reason.startswith("it refuses everybody (by break-glass at gateway east, ")
    assert place.deployments.denied(place.model) == {glass.taken_back.model_sha256: served.reason}
    assert place.told() == [("ann", "east")]
    assert place.east.unreported == []
    assert place.registry.aliases(place.model)[Alias.CHAMPION] == 1
    assert EntryKind.BROKE_GLASS in {entry.kind for entry in place.deployments.ledger.why(place.model, 2)}
    follower.step()
    assert len(place.champions()) == 3


def test_two_gateways_and_two_reasons_make_one_rollback(place: Place) -> None:
    place.break_at(place.east, "ann", "complaints")
    place.break_at(place.west, "bob", "all answers are no")
    followers = [place.follower(gateway) for gateway in (place.east, place.west)]
    for follower in followers * 2:
        follower.step()
    assert [epoch for epoch, _, change in place.champions() if change is Change.ROLLBACK] == [3]
    assert sorted(place.told()) == [("ann", "east"), ("bob", "west")]
    assert place.served() == [(1, 3), (1, 3)]
    assert (place.east.unreported, place.west.unreported) == ([], [])


def test_a_rollback_that_somebody_recorded_meanwhile_is_not_repeated(place: Place) -> None:
    glass = place.break_at(place.east)
    place.rollback()
    assert record_break_glass(place.deployments, glass) == place.deployments.current(place.model)
    assert [change for _, _, change in place.champions()].count(Change.ROLLBACK) == 1
    assert place.told() == [("ann", "east")]


def test_a_newer_champion_stays_and_what_was_taken_back_is_denied(place: Place) -> None:
    glass = place.break_at(place.east)
    place.raise_champion(3)
    follower = place.follower(place.east)
    for _ in range(2):
        follower.step()
    assert place.champions()[-1] == (3, 3, Change.PROMOTION)
    assert place.served() == [(3, 3), (3, 3)]
    assert place.deployments.denied(place.model) == {glass.taken_back.model_sha256: glass.sentence}
    assert (place.told(), place.east.unreported) == ([("ann", "east")], [])


def test_a_rehearsal_that_began_meanwhile_is_written_over(place: Place) -> None:
    glass = place.break_at(place.east)
    challenger = place.train(3)
    with pytest.raises(GatewayLagging, match="taken back here"):
        place.rehearse(challenger, within_s=1)
    record = record_break_glass(place.deployments, glass)
    assert record is not None
    assert (record.epoch, record.champion.version, record.mirror) == (4, 1, None)


def test_a_version_that_returned_meanwhile_is_taken_back_too(place: Place) -> None:
    glass = place.break_at(place.east)
    place.raise_champion(3)
    with pytest.raises(GatewayLagging, match="taken back here"):
        place.rollback()
    assert place.champions()[-1][1] == 2
    record = record_break_glass(place.deployments, glass)
    assert record is not None
    assert (record.epoch, record.champion.version) == (5, 1)


def test_a_locked_champion_is_taken_back_as_callers_already_have_another(place: Place) -> None:
    glass = place.break_at(place.east)
    place.deployments.ledger.append(place.model, EntryKind.LOCKED, "carl", "audit", facts={"version": 2})
    record = record_break_glass(place.deployments, glass)
    assert record is not None
    assert (record.champion.version, place.deployments.locked(place.model)) == (1, {2: "audit"})


def test_a_target_that_was_denied_meanwhile_gives_way_to_another_or_is_said(place: Place) -> None:
    place.raise_champion(3)
    glass = place.break_at(place.east)
    place.deployments.deny(place.model, glass.target.model_sha256, By(actor="carl", reason="poisoned data"))
    record = record_break_glass(place.deployments, glass)
    assert record is not None
    assert (record.champion.version, record.previous) == (1, None)

    second = glass.model_copy(update={"taken_back": record.champion, "target": glass.target})
    with pytest.raises(NothingToRollBackTo, match="was denied meanwhile"):
        record_break_glass(place.deployments, second)
    place.east.unreported[:] = [second]
    follower = place.follower(place.east)
    follower.step()
    assert "cannot be reported yet" in (follower.step().problem or "")
    assert place.east.unreported == [second]


@pytest.mark.parametrize("dies_at", ["append_once", "deploy", "reported"])
def test_a_follower_that_dies_at_any_step_doubles_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    place.break_at(place.east)
    first = place.follower(place.east)
    first.step()
    owners: dict[str, Any] = {
        "append_once": type(place.deployments.ledger),
        "deploy": type(place.deployments),
        "reported": type(first.gateways),
    }
    real = getattr(owners[dies_at], dies_at)

    def die(self: Any, *args: Any, **kwargs: Any) -> Any:
        real(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owners[dies_at], dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            first.step()
    second = place.follower(place.east)
    for _ in range(2):
        second.step()
    assert [change for _, _, change in place.champions()].count(Change.ROLLBACK) == 1
    assert place.told() == [("ann", "east")]
    assert place.served() == [(1, 3), (1, 3)]
    assert place.deployments.history(place.model)[-1].is_confirmed


def test_it_is_typed_with_the_ledger_down(place: Place) -> None:
    model = place.model
    glass = ("rollback", model, "--break-glass", "--reason", "complaints")
    with place.without_ledger():
        plan = json.loads(typed(*glass, "--dry-run", "--json"))
        assert (plan["version"], [one["answers"] for one in plan["gateways"]]) == (2, [2, 2])
        assert place.served() == [(2, 2), (2, 2)]
        told = typed(*glass)
        assert f"east: version 2 of {model} was taken back in 1.5 ms; version 1 answers" in told
        assert place.served() == [(1, 2), (1, 2)]
        assert "was taken back before, by" in typed(*glass)
        assert "taken back there already" in typed(*glass, "--dry-run")
        assert f"version 2 of {model} was taken back by break-glass" in typed("doctor", expect=1)
    assert "complaints), which the ledger does not know yet" in typed("status", model)


def test_who_did_it_is_named_where_not_all_could(place: Place) -> None:
    place.west.is_down = True
    done = json.loads(
        typed("rollback", place.model, "--break-glass", "--reason", "complaints", "--json", expect=1).split("\n{")[0]
    )
    assert [ack["glass"]["gateway"] for ack in done["done"]] == ["east"]
    assert [late["gateway"] for late in done["lagging"]] == [place.west.url]
    place.west.is_down = False
    told = typed("rollback", place.model, "--break-glass", "--reason", "complaints")
    assert f"east: version 2 of {place.model} was taken back before" in told
    assert f"west: version 2 of {place.model} was taken back in" in told


def test_what_cannot_be_meant_is_refused(place: Place) -> None:
    glass = ("rollback", place.model, "--break-glass", "--reason", "complaints")
    assert "does not go with --break-glass" in typed(*glass, "--to", "1", expect=1)
    assert "goes with --break-glass only" in typed(
        "rollback", place.model, "--reason", "x", "--taking-back", "2", expect=1
    )
    assert "--reason is empty" in typed("rollback", place.model, "--break-glass", "--reason", " ", expect=1)
    del place.west.orders[place.model]
    place.west.orders[place.model] = place.east.orders[place.model].model_copy(
        update={"record": place.deployments.history(place.model)[0].deployment}
    )
    assert "Say which with --taking-back" in typed(*glass, expect=1)
    place.east.orders.clear()
    place.west.orders.clear()
    assert "none of them serves it" in typed(*glass, expect=1)
