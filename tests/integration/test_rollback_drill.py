"""The rollback drill on two real gateways: a bad model is found out and taken back, and nothing is left of it."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.conftest import Run, Site
from tests.integration.fake_gateway import TOKEN
from tests.integration.gateway_process import gateway
from understudy.contract.by import By
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.release import LedgerEntry
from understudy.contract.serving import ModelStatus
from understudy.contract.words import Alias, Change, EntryKind
from understudy.hooks.declarations import Declarations
from understudy.hooks.follower import Follower
from understudy.hooks.places.gateways import Gateways
from understudy.settings import settings

Drill = Callable[..., Run]


@pytest.fixture(scope="module")
def urls(site: Site) -> Iterator[tuple[str, str]]:
    home = site.home
    with (
        gateway("east", home / "east", home / "bundles") as east,
        gateway("west", home / "west", home / "bundles-of-the-west") as west,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", f"{east},{west}")
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        # The machine of the tests is slower than any that serves; what is promised is the default, measured apart.
        patch.setenv("AIRFLOW__UNDERSTUDY__DRILL_REVERSE_WITHIN", "1m")
        yield east, west
    settings.cache_clear()


@pytest.fixture(scope="module")
def drill(site: Site, urls: tuple[str, str]) -> Drill:
    def play(before: dict[str, Callable[[], object]] | None = None, **conf: Any) -> Run:
        return site.run("rollback_drill", "operations", before or {}, conf)

    return play


def gateways_of(site: Site, urls: tuple[str, str]) -> Gateways:
    return Gateways(urls, TOKEN, site.home / "bundles")


def assert_nothing_is_left(site: Site, urls: tuple[str, str]) -> None:
    for status in gateways_of(site, urls).status(DRILL_MODEL):
        assert isinstance(status, ModelStatus)
        assert (status.epoch, status.version, status.workers) == (0, None, ())
    for name in ("east", "west"):
        state = site.home / name
        assert not (state / "records" / f"{DRILL_MODEL}.json").exists()
        assert not (state / "log" / DRILL_MODEL).exists()
    for bundles in ("bundles", "bundles-of-the-west"):
        assert not (site.home / bundles / DRILL_MODEL).exists()
    for url in urls:
        asked = httpx.get(f"{url}/models/{DRILL_MODEL}/ping", timeout=60, trust_env=False)
        assert asked.status_code == 404
    current = site.hooks.deployments.current(DRILL_MODEL)
    assert current is None or current.mirror is None


def entries(site: Site, run: Run) -> dict[EntryKind, LedgerEntry]:
    return {entry.kind: entry for entry in site.hooks.ledger.entries(DRILL_MODEL, run=run.key)}


def test_a_bad_model_is_found_out_and_taken_back_and_nothing_is_left(
    drill: Drill, site: Site, urls: tuple[str, str]
) -> None:
    run = drill()
    assert (run.state, run.tasks) == ("success", {"models": "success", "drill": "success", "clear": "success"})
    drilled = run.returned["drill"]
    report = drilled["report"]
    assert 0 < report["detection_s"] <= 120
    assert 0 < report["reversal_s"] <= 60
    assert report["requests"] > 0
    assert report["lost"] == 0
    assert "was found out" in drilled["sentence"]
    assert_nothing_is_left(site, urls)

    hooks, told = site.hooks, entries(site, run)
    assert told[EntryKind.DRILLED].facts["report"] == report
    assert told[EntryKind.DEPLOYED].facts["deployment"]["change"] == Change.ROLLBACK  # type: ignore[call-overload,index]
    assert "nothing was measured" in told[EntryKind.BLESSED].reason
    # Neither of a drill's models can ever serve again.
    assert len(hooks.deployments.denied(DRILL_MODEL)) == 2
    assert hooks.ledger.verify().ok
    with site.here(), hooks.registry._mlflow.asking() as client:
        version = client.get_model_version(DRILL_MODEL, str(report["bad"]))
        metrics = client.get_run(str(version.run_id)).data.metrics
    assert metrics["drill_detection_s"] == pytest.approx(report["detection_s"])
    assert metrics["drill_reversal_s"] == pytest.approx(report["reversal_s"])


def test_a_drill_whose_bad_model_is_as_good_as_the_other_fails_and_says_so(
    drill: Drill, site: Site, urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DRILL_DETECT_WITHIN", "10s")
    run = drill(turned=0)
    assert (run.state, run.tasks["drill"], run.tasks["clear"]) == ("failed", "failed", "success")
    told = entries(site, run)[EntryKind.DRILLED]
    assert "was not found out within 10s" in told.reason
    assert told.facts["verdict"] == "failed"
    assert EntryKind.DENIED in entries(site, run)
    assert_nothing_is_left(site, urls)


def test_what_a_killed_drill_left_is_cleared_and_no_follower_brings_it_back(
    drill: Drill, site: Site, urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[ModelStatus] = []

    def die(*_: Any) -> None:
        found = gateways_of(site, urls).status(DRILL_MODEL)
        seen.extend(status for status in found if isinstance(status, ModelStatus))
        raise KeyError("as if the worker had been killed")

    monkeypatch.setattr("understudy.operators.drill.course.Course._watched", die)
    # A killed process clears nothing itself; the next task has to.
    monkeypatch.setattr("understudy.operators.drill.drill.DrillOperator._cleared", lambda *_: nullcontext())
    run = drill()
    assert (run.state, run.tasks["drill"], run.tasks["clear"]) == ("failed", "failed", "success")
    record = site.hooks.deployments.current(DRILL_MODEL)
    assert record is not None
    assert [status.version for status in seen] == [record.champion.version] * 2
    pids = [worker.pid for status in seen for worker in status.workers if worker.pid is not None]
    assert len(pids) == 4
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert_nothing_is_left(site, urls)

    with site.here():
        follower = Follower(site.hooks, gateways_of(site, urls[:1]), Declarations(site.home / "models"))  # type: ignore[arg-type]
        assert follower.step().problem is None
    assert_nothing_is_left(site, urls)


def test_a_drill_is_spent_once_it_was_drilled(drill: Drill, site: Site, urls: tuple[str, str]) -> None:
    hooks = site.hooks
    before = hooks.registry.aliases(DRILL_MODEL).get(Alias.CHAMPION)

    def deny() -> None:
        folder = max((site.home / "workspace" / DRILL_MODEL).iterdir(), key=lambda path: path.stat().st_mtime)
        from understudy.hooks.registry.bundle_files import digest_of

        digest = digest_of(folder / "models" / "bad")
        assert digest is not None
        hooks.deployments.deny(DRILL_MODEL, digest, By(actor="ann", reason="drilled before"))

    run = drill(before={"drill": deny})
    assert run.tasks["drill"] == "failed"
    assert hooks.registry.aliases(DRILL_MODEL).get(Alias.CHAMPION) == before
    assert_nothing_is_left(site, urls)


def test_without_a_gateway_the_drill_is_skipped(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", "")
    settings.cache_clear()
    run = site.run("rollback_drill", "operations", {}, {})
    assert run.tasks["models"] == "skipped"
    assert run.tasks["drill"] == "skipped"
