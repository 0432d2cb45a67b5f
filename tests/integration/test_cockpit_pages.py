"""The pages within Airflow's real API server: who sees what, what bad input gets, and that nothing is changed here."""

import html
import json
import re
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.fleet_ledger import bundle, write_fleet
from understudy.contract.release import Blessing
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.settings import settings
from understudy.ui import fleet_reader as reader_module
from understudy.ui import model_page
from understudy.ui.airflow_state import Airflow, DagState, Question
from understudy.workspace import run_key

MODEL = "model_0001"
HOSTILE = "<script>alert(1)</script>'\"; DROP TABLE ledger; -- {{ 7 * 7 }} \N{RIGHT-TO-LEFT OVERRIDE}"
PAGES = ("/understudy/", f"/understudy/models/{MODEL}", f"/understudy/models/{MODEL}/cards/10")
JSON = ("/understudy/api/models", f"/understudy/api/models/{MODEL}", f"/understudy/api/models/{MODEL}/ledger")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("cockpit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_HOME", str(home))
        patch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(home / "models"))
        settings.cache_clear()
        forget_what_was_read()
        write_fleet(home / "ledger.db", 4, 20, until=datetime.now(timezone.utc))
        _forget_plugins()
        yield _app(home)
        _forget_plugins()
        settings.cache_clear()
        forget_what_was_read()


def forget_what_was_read() -> None:
    reader_module.fleet_reader.cache_clear()
    reader_module.read_ahead.cache_clear()


def _forget_plugins() -> None:
    """Let Airflow look for plugins again: a test that ran before may have had it look elsewhere."""
    from airflow import plugins_manager

    for found in vars(plugins_manager).values():
        if hasattr(found, "cache_clear"):
            found.cache_clear()


def _app(home: Path) -> Any:
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.configuration import conf
    from airflow.utils.db import resetdb

    plugins = Path(__file__).resolve().parents[2] / "plugins"
    conf.set("core", "plugins_folder", str(plugins))
    from airflow import settings as airflow_settings

    airflow_settings.PLUGINS_FOLDER = str(plugins)
    conf.set("api_auth", "jwt_secret", "secret" * 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Airflow's own start touches is Airflow's to mend
        resetdb()  # the DAGs of other tests of this process are not those of a fleet of four
        purge_cached_app()
        return create_app(apps="core")


def caller(server: Any, role: str | None, name: str = "vera") -> TestClient:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
    return TestClient(server, headers={"Authorization": f"Bearer {token}"}, follow_redirects=False)


@pytest.mark.parametrize("path", [*PAGES, *JSON, "/understudy/dags/retrain__x", "/understudy/dags/x/runs/y"])
def test_nobody_sees_anything_without_a_login(server: Any, path: str) -> None:
    nobody = TestClient(server, follow_redirects=False)
    answer = nobody.get(path)
    forged = nobody.get(path, headers={"Authorization": "Bearer forged"})
    cookie = nobody.get(path, headers={"Cookie": "_token=forged"})
    assert (answer.status_code, forged.status_code, cookie.status_code) == (401, 403, 403)
    assert "passed every gate" not in answer.text


@pytest.mark.parametrize("path", ["/understudy/docs", "/understudy/openapi.json", "/understudy/redoc"])
def test_the_interface_is_not_described_to_strangers(server: Any, path: str) -> None:
    assert TestClient(server).get(path).status_code in {401, 404}


@pytest.mark.parametrize("path", [*PAGES, *JSON])
@pytest.mark.parametrize(("role", "status"), [("viewer", 200), ("user", 200), ("op", 200), ("admin", 200)])
def test_every_role_that_reads_dags_reads_models(server: Any, path: str, role: str, status: int) -> None:
    assert caller(server, role).get(path).status_code == status


@pytest.mark.parametrize("path", [*PAGES[1:], *JSON[1:]])
def test_who_may_read_no_dag_reads_no_model(server: Any, path: str) -> None:
    stranger = caller(server, None)
    assert stranger.get(path).status_code == 403
    assert stranger.get("/understudy/api/models").json()["models"] == []
    # Whether there is such a model is not told either.
    assert stranger.get("/understudy/models/no_such_model").status_code == 403


def test_pages_allow_no_script_but_their_own_and_no_frame_but_airflows(server: Any) -> None:
    for path in PAGES:
        answer = caller(server, "viewer").get(path)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert not re.search(r"<script>|\sstyle=|\son\w+=|https?://(?!testserver)", answer.text), path
        assert len(answer.content) < 300_000


def test_all_of_our_own_code_is_small(server: Any) -> None:
    static = Path(reader_module.__file__).parent / "static"
    assert sum(file.stat().st_size for file in static.iterdir()) < 300_000


@pytest.mark.parametrize(
    "path",
    [
        "/understudy/models/no_such_model",
        "/understudy/models/..%2f..%2fetc%2fpasswd",
        "/understudy/models/" + "x" * 5_000,
        "/understudy/models/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        f"/understudy/models/{MODEL}/cards/999999",
        f"/understudy/models/{MODEL}/cards/-1",
        f"/understudy/models/{MODEL}/cards/99999999999999999999999999",
        "/understudy/models/model_0002/cards/2",  # another model's decision
    ],
)
def test_what_is_not_there_is_a_clear_404(server: Any, path: str) -> None:
    answer = caller(server, "admin").get(path)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("query", ["page=0", "size=1000000", "sort=up", "health=ill", "search=" + "x" * 300])
def test_an_address_that_is_not_understood_says_what_is_wrong(server: Any, query: str) -> None:
    for path in ("/understudy/", "/understudy/api/models"):
        answer = caller(server, "viewer").get(f"{path}?{query}")
        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [*PAGES, *JSON])
def test_no_route_of_ours_changes_anything(server: Any, path: str, kind: str) -> None:
    before = len(connect().ledger.entries())
    headers = {"Content-Type": kind, "Origin": "https://elsewhere.example"}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert caller(server, "admin").request(method, path, content="{}", headers=headers).status_code == 405
    assert len(connect().ledger.entries()) == before


RUNS = "/api/v2/dags/hold/dagRuns"
ANSWER = f"/api/v2/dags/retrain__{MODEL}/dagRuns/run/taskInstances/approve/-1/hitlDetails"
SENT = (
    ("POST", RUNS, {"logical_date": None, "conf": {"model": MODEL, "reason": "because"}}),
    ("PATCH", ANSWER, {"chosen_options": ["Approve"], "params_input": {"reason": "because"}}),
)
"""What the pages' script sends to Airflow: a run, and an answer."""
Sent = tuple[str, str, dict[str, Any]]


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize(("role", "status"), [(None, 403), ("viewer", 403), ("user", 404), ("op", 404)])
def test_what_the_pages_send_is_refused_by_role_before_anything_else(
    server: Any, role: str | None, status: int, sent: Sent
) -> None:
    method, path, body = sent
    # There is no such DAG here: who may act is told that, and who may not is not even told that.
    assert caller(server, role).request(method, path, json=body).status_code == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
@pytest.mark.parametrize("sent", SENT)
def test_what_another_site_can_send_unasked_is_not_read(server: Any, sent: Sent, kind: str | None) -> None:
    method, path, body = sent
    token = caller(server, "op").headers["Authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"_token={token}", "Origin": "https://elsewhere.example"}
    headers |= {"Content-Type": kind} if kind else {}
    browser = TestClient(server, follow_redirects=False)
    assert browser.request(method, path, content=json.dumps(body), headers=headers).status_code == 422


@pytest.mark.parametrize("token", [None, "forged", "aaaa.bbbb.cccc"])
@pytest.mark.parametrize("sent", SENT)
def test_what_the_pages_send_needs_a_login(server: Any, sent: Sent, token: str | None) -> None:
    method, path, body = sent
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = TestClient(server, follow_redirects=False).request(method, path, json=body, headers=headers)
    assert answer.status_code in {401, 403}


def test_a_token_that_somebody_else_signed_is_forged(server: Any) -> None:
    import jwt

    genuine = caller(server, "admin").headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(genuine, options={"verify_signature": False})
    forged = jwt.encode(claims, "another" * 16, algorithm=jwt.get_unverified_header(genuine)["alg"])
    for path in (PAGES[1], JSON[1]):
        answer = TestClient(server).get(path, headers={"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 403
        assert MODEL not in answer.text


def test_no_other_origin_may_read_with_the_login_of_a_visitor(server: Any) -> None:
    for path in (*PAGES, *JSON):
        answer = caller(server, "viewer").get(path, headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_reason_with_a_script_in_it_is_text(server: Any) -> None:
    entry = connect().ledger.append(MODEL, EntryKind.LOCKED, HOSTILE, HOSTILE + "x" * 10_000, facts={"version": 2})
    viewer = caller(server, "viewer")
    for path in (*PAGES[:2], f"/understudy/models/{MODEL}/cards/{entry.seq}"):
        text = viewer.get(path).text
        assert "<script>alert" not in text
        assert "49" not in re.findall(r"-- (\d+) ", text)
    assert html.escape("<script>alert(1)</script>", quote=False) in viewer.get(PAGES[1]).text
    connect().ledger.append(MODEL, EntryKind.UNLOCKED, "ann", "over", facts={"version": 2})


def test_what_people_wrote_keeps_its_capital_letters(server: Any) -> None:
    connect().ledger.append(MODEL, EntryKind.HELD, "Ann", "the GDPR audit of ACME")
    assert "Held by Ann: the GDPR audit of ACME" in caller(server, "viewer").get(PAGES[1]).text
    connect().ledger.append(MODEL, EntryKind.RELEASED, "Ann", "over")


def test_a_retraining_that_ended_badly_says_where_why_and_what_next(server: Any) -> None:
    told = "snapshot was refused: meter.csv holds no rows from Monday to <b>Friday</b>. Widen data.window"
    ended = connect().ledger.append("model_0003", EntryKind.CONCLUDED, "ann", told, facts={"outcome": "data_refused"})
    text = caller(server, "viewer").get("/understudy/models/model_0003").text
    notice = re.search(r'<div class="notice bad".*?</div>', text, re.DOTALL)
    assert notice is not None
    assert html.escape("Snapshot was refused: meter.csv holds no rows from Monday to <b>Friday</b>") in notice[0]
    assert "Widen data.window." in notice[0]
    assert f"/models/model_0003/cards/{ended.seq}" in notice[0]


def test_a_card_calls_gates_by_their_own_names(server: Any) -> None:
    judged = connect().ledger.entries(MODEL, [EntryKind.JUDGED])[-1]
    text = caller(server, "viewer").get(f"/understudy/models/{MODEL}/cards/{judged.seq}").text
    assert '<th scope="row">must_beat_dummy</th>' in text


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_whoever_is_asked_reads_that_another_champion_serves_by_now(
    server: Any, monkeypatch: pytest.MonkeyPatch, *, is_overtaken: bool
) -> None:
    run_id, hooks = f"manual__{is_overtaken}", connect()
    record = hooks.deployments.current(MODEL)
    assert record is not None
    blessing = Blessing(
        challenger=bundle(MODEL, 9), champion_version=record.champion.version,
        champion_epoch=record.champion_since - is_overtaken, judgement_sha256="a" * 64, rubber_stamped=False,
    )  # fmt: skip
    facts = blessing.model_dump(mode="json")
    hooks.ledger.append(MODEL, EntryKind.BLESSED, "ann", "it passed", run_key(run_id), facts)
    question = Question(
        dag_id=f"retrain__{MODEL}", run_id=run_id, task_id="approve", map_index=-1, subject="May version 9?",
        options=("Approve", "Reject"), params={"reason": ""}, assigned=(), since=datetime.now(timezone.utc),
    )  # fmt: skip
    monkeypatch.setattr(model_page, "read_airflow", lambda _: Airflow(dags={}, questions=(question,)))
    text = caller(server, "user").get(PAGES[1]).text
    assert "May version 9?" in text
    assert ("An approval would be refused." in text) is is_overtaken
    acts = [json.loads(html.unescape(raw))["acts"] for raw in re.findall(r'data-answer="([^"]*)"', text)]
    assert acts == ["promote", None]


def test_the_ledger_is_filtered_and_paged(server: Any) -> None:
    viewer, path = caller(server, "viewer"), f"/understudy/api/models/{MODEL}/ledger"
    told = viewer.get(f"{path}?kind=judged").json()
    assert {entry["kind"] for entry in told["entries"]} == {"judged"}
    newest = viewer.get(path).json()["entries"][0]["seq"]
    assert viewer.get(f"{path}?before={newest}").json()["entries"][0]["seq"] < newest
    assert viewer.get(f"{path}?actor=nobody&kind=&run=&before=").json() == {"entries": [], "older": None}
    assert {entry["run"] for entry in viewer.get(f"{path}?run=run-2").json()["entries"]} == {"run-2"}


def test_a_search_and_a_sort_are_done_here(server: Any) -> None:
    viewer = caller(server, "viewer")
    found = viewer.get("/understudy/api/models?search=_0002").json()
    assert ([one["model"] for one in found["models"]], found["found"], found["total"]) == (["model_0002"], 1, 4)
    names = [one["model"] for one in viewer.get("/understudy/api/models?sort=model&backwards=true").json()["models"]]
    assert names == sorted(names, reverse=True)
    second = viewer.get("/understudy/api/models?sort=model&size=3&page=2").json()
    assert ([one["model"] for one in second["models"]], second["pages"]) == (["model_0003"], 2)


def test_a_dag_leads_to_its_model_and_a_run_to_its_decisions(server: Any) -> None:
    viewer = caller(server, "viewer")
    assert viewer.get(f"/understudy/dags/monitor__{MODEL}").headers["location"] == f"/understudy/models/{MODEL}"
    assert viewer.get("/understudy/dags/housekeeping").headers["location"] == "/understudy/"
    run = viewer.get(f"/understudy/dags/retrain__{MODEL}/runs/manual__2026-01-01T00:00:00+00:00").headers["location"]
    assert run.startswith(f"/understudy/models/{MODEL}?run=manual__2026")
    look = viewer.get(f"/understudy/dags/monitor__{MODEL}/runs/x").headers["location"]
    assert "run=look__x-" in look
    outside = viewer.get("/understudy/dags/retrain__%2F%2Felsewhere.example/runs/x")
    assert outside.status_code in {303, 404}
    assert outside.headers.get("location", "/understudy").startswith("/understudy")


def test_a_ledger_that_cannot_be_read_is_said_and_shows_no_old_state(
    server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from understudy.hooks.errors import LedgerUnavailable
    from understudy.hooks.ledger import Ledger

    def fail(*_: object, **__: object) -> None:
        raise LedgerUnavailable("ledger", "does not answer", "Start it.")

    monkeypatch.setattr(Ledger, "reading", fail)
    forget_what_was_read()
    for path in PAGES:
        answer = caller(server, "viewer").get(path)
        assert answer.status_code == 503
        assert "does not answer" in answer.text
    reader_module.read_ahead().join(30)
    assert "was not read ahead of the first page" in caplog.text


def test_the_icon_that_all_pages_of_airflow_show_lets_the_ledger_be_read_ahead(server: Any) -> None:
    forget_what_was_read()
    assert caller(server, None).get("/understudy/static/models.svg").status_code == 200
    reader_module.read_ahead().join(30)
    assert MODEL in reader_module.fleet_reader()._entries.newest


def test_airflow_lists_the_pages(server: Any) -> None:
    listed = caller(server, "viewer").get("/api/v2/plugins").json()
    ours = next(plugin for plugin in listed["plugins"] if plugin["name"] == "understudy")
    assert {(view["name"], view["destination"]) for view in ours["external_views"]} == {
        ("Models", "nav"), ("Model", "dag"), ("Decisions", "dag_run"),
    }  # fmt: skip


def test_offers_are_json_within_an_attribute(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dags = {dag_id: DagState(dag_id=dag_id) for dag_id in ("rollback", "lock", "hold", f"retrain__{MODEL}")}
    monkeypatch.setattr(model_page, "read_airflow", lambda _: Airflow(dags=dags))
    text = caller(server, "admin").get(PAGES[1]).text
    offers = [json.loads(html.unescape(raw)) for raw in re.findall(r'data-offer="([^"]*)"', text)]
    assert {offer["dag_id"] for offer in offers} == set(dags)
    assert {offer["conf"].get("model", MODEL) for offer in offers} == {MODEL}
    assert all(offer["may"] for offer in offers)
