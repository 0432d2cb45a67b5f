"""The reports behind a decision: shown as they were judged, to whoever may read the model, and unable to act."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.fleet_ledger import bundle, look
from tests.integration.cockpit.api_server import MODEL, caller
from understudy.contract.release import Bundle
from understudy.contract.stage import artefact_of
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.connect import connect
from understudy.hooks.registry.errors import ArtefactMissing, RegistryUnavailable
from understudy.ui import report_page

VERSION = 41
PAGE = "<h1>report</h1><script>parent.steal()</script>"


class FakeRegistry:
    """What MLflow keeps of one version: folders of reports."""

    def __init__(self, kept: dict[str, str]) -> None:
        self.kept = kept

    def bundle_of(self, model: str, version: int) -> Bundle:
        return bundle(model, version)

    def fetch_file(self, asked: Bundle, name: str, destination: Path) -> Path:
        if name not in self.kept:
            raise ArtefactMissing(asked.model, asked.version, name)
        destination.mkdir()
        (destination / "report.html").write_text(self.kept[name], encoding="utf-8")
        return destination


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let the registry be another one."""

    def keep(registry: Any) -> None:
        monkeypatch.setattr(report_page, "connect", lambda: SimpleNamespace(ledger=connect().ledger, registry=registry))

    return keep


@pytest.fixture(scope="module")
def viewer(server: Any) -> TestClient:
    return caller(server, "viewer")


def digest_of_page(folders: pytest.TempPathFactory) -> str:
    place = folders.mktemp("written")
    return artefact_of(
        FakeRegistry({"report": PAGE}).fetch_file(bundle(MODEL, VERSION), "report", place / "r"), place
    ).sha256


@pytest.fixture(scope="module")
def judged(server: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Judge a version by a report; give the report's address."""
    facts = {"version": VERSION, "report_sha256": digest_of_page(tmp_path_factory)}
    connect().ledger.append(MODEL, EntryKind.JUDGED, "airflow", "all passed", facts=facts)
    return f"/understudy/models/{MODEL}/versions/{VERSION}/report"


@pytest.fixture(scope="module")
def looked(server: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Let a look find something; give the address of what it wrote about drift."""
    written = {"reports_sha256": {"drift": digest_of_page(tmp_path_factory)}}
    found = look(MODEL, VERSION, 1, Verdict.FAILED).model_copy(update=written).model_dump(mode="json")
    entry = connect().ledger.append(MODEL, EntryKind.MONITORED, "airflow", "wind drifted", facts=found)
    return f"/understudy/models/{MODEL}/looks/{entry.seq}/drift"


def test_a_report_is_shown_as_it_was_judged_and_nothing_in_it_runs(
    viewer: TestClient, judged: str, keeping: Callable[[Any], None]
) -> None:
    keeping(FakeRegistry({"report": PAGE}))
    shown = viewer.get(judged)
    assert (shown.status_code, shown.text) == (200, PAGE)
    allowed = shown.headers["content-security-policy"].split("; ")
    assert "sandbox" in allowed
    assert "default-src 'none'" in allowed
    assert not any("script" in one for one in allowed)
    assert shown.headers["x-content-type-options"] == "nosniff"


def test_a_report_that_was_changed_since_is_not_shown(
    viewer: TestClient, judged: str, keeping: Callable[[Any], None]
) -> None:
    keeping(FakeRegistry({"report": PAGE.replace("report", "better")}))
    refused = viewer.get(judged)
    assert refused.status_code == 503
    assert "is not the one that was decided by" in refused.text
    assert "better" not in refused.text


def test_a_judgement_that_names_no_report_shows_none(viewer: TestClient, keeping: Callable[[Any], None]) -> None:
    connect().ledger.append(MODEL, EntryKind.JUDGED, "airflow", "all passed", facts={"version": 40})
    keeping(FakeRegistry({"report": PAGE}))
    refused = viewer.get(f"/understudy/models/{MODEL}/versions/40/report")
    assert refused.status_code == 503
    assert "is not the one that was decided by" in refused.text


def test_what_a_look_found_is_shown(viewer: TestClient, looked: str, keeping: Callable[[Any], None]) -> None:
    keeping(FakeRegistry({f"looks/{looked.split('/')[-2]}/drift": PAGE}))
    assert viewer.get(looked).text == PAGE


def test_a_look_whose_report_was_changed_since_shows_none(
    viewer: TestClient, looked: str, keeping: Callable[[Any], None]
) -> None:
    keeping(FakeRegistry({f"looks/{looked.split('/')[-2]}/drift": PAGE.replace("report", "better")}))
    refused = viewer.get(looked)
    assert refused.status_code == 503
    assert "is not the one that was decided by" in refused.text
    assert "better" not in refused.text


@pytest.mark.parametrize("rest", ["versions/42/report", "looks/999999/drift", "looks/1/drift", "versions/41/report"])
def test_a_report_that_is_not_there_is_a_clear_404(
    viewer: TestClient, judged: str, rest: str, keeping: Callable[[Any], None]
) -> None:
    keeping(FakeRegistry({}))
    answer = viewer.get(f"/understudy/models/{MODEL}/{rest}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
    assert any(
        said in answer.text for said in ("was judged", "has no decision", "is not a look", "keeps no such report")
    )


@pytest.mark.parametrize("rest", ["looks/1/evidently", "looks/x/drift", "versions/x/report"])
def test_an_address_that_names_no_report_is_refused(viewer: TestClient, rest: str) -> None:
    assert viewer.get(f"/understudy/models/{MODEL}/{rest}").status_code == 422


def test_a_registry_that_is_down_is_said(viewer: TestClient, judged: str, keeping: Callable[[Any], None]) -> None:
    class Down(FakeRegistry):
        def bundle_of(self, model: str, version: int) -> Bundle:
            raise RegistryUnavailable("http://mlflow", "refused the connection")

    keeping(Down({}))
    answer = viewer.get(judged)
    assert answer.status_code == 503
    assert "refused the connection" in answer.text


def test_who_may_not_read_the_model_reads_no_report(server: Any, judged: str, looked: str) -> None:
    for address in (judged, looked):
        assert TestClient(server).get(address).status_code == 401
        assert caller(server, None).get(address).status_code == 403


def test_a_card_links_to_the_report_and_to_mlflow_where_people_reach_it(
    viewer: TestClient, judged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = connect().ledger.entries(MODEL, [EntryKind.JUDGED])
    (entry,) = (entry for entry in entries if entry.facts.get("version") == VERSION)
    card = f"/understudy/models/{MODEL}/cards/{entry.seq}"
    shown = viewer.get(card).text
    assert f'href="{judged}"' in shown
    assert "#/models/" not in shown
    told = connect().settings.model_copy(update={"mlflow_pages": "https://mlflow.example.com/"})
    hooks = SimpleNamespace(settings=told, ledger=connect().ledger)
    monkeypatch.setattr("understudy.ui.card_page.connect", lambda: hooks)
    assert f'href="https://mlflow.example.com/#/models/{MODEL}/versions/{VERSION}"' in viewer.get(card).text
