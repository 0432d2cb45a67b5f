"""What the pages show, and what bad input gets."""

import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.fleet_ledger import bundle
from tests.integration.cockpit.api_server import MODEL, PAGES, caller, forget_what_was_read
from understudy.contract.airflow_run import AirflowRun
from understudy.contract.by import By
from understudy.contract.words import Change, EntryKind
from understudy.hooks.beside import write_beside
from understudy.hooks.connect import connect
from understudy.overview import fleet_reader as reader_module
from understudy.overview.airflow_state import Airflow, DagState
from understudy.ui import fleet_page, model_page
from understudy.ui.fleet_progress import TrialsAsked
from understudy.workspace import run_key

HOSTILE = "<script>alert(1)</script>'\"; DROP TABLE ledger; -- {{ 7 * 7 }} \N{RIGHT-TO-LEFT OVERRIDE}"


def test_all_of_our_own_code_is_small(server: Any) -> None:
    static = Path(fleet_page.__file__).parent / "static"
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
        f"/understudy/models/{MODEL}%00",  # PostgreSQL takes no question with a NUL in it
        f"/understudy/models/{MODEL}?run=%00",
        f"/understudy/api/models/{MODEL}/ledger?run=x%00",
        f"/understudy/dags/retrain__{MODEL}/runs/%00",
    ],
)
def test_what_is_not_there_is_a_clear_404(server: Any, path: str) -> None:
    answer = caller(server, "admin").get(path)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("path", ["/understudy/nowhere", f"{PAGES[1]}/nowhere", "/understudy/static/nowhere.js"])
def test_an_address_at_which_nothing_lies_is_a_page_of_ours(server: Any, path: str) -> None:
    answer = caller(server, "viewer").get(path)
    assert (answer.status_code, "<h1>There is no such page</h1>" in answer.text) == (404, True)
    assert '<a class="button" href="/understudy/">All models</a>' in answer.text
    assert "Content-Security-Policy" in answer.headers


def test_what_is_sent_to_a_page_is_refused_by_a_page_of_ours(server: Any) -> None:
    answer = caller(server, "viewer").post(PAGES[1])
    assert (answer.status_code, "<h1>Nothing can be sent here</h1>" in answer.text) == (405, True)
    assert answer.headers["allow"] == "GET"
    assert caller(server, "viewer").get("/understudy/api/nowhere").json() == {"detail": "Nothing lies at this address."}


@pytest.mark.parametrize("query", ["utm_source=x", "page=", "page=&size=&sort=&backwards=&health=&search=", "a=&b=c"])
def test_what_an_address_does_not_have_to_say_is_taken_as_usual(server: Any, query: str) -> None:
    viewer = caller(server, "viewer")
    for path in ("/understudy/", "/understudy/api/models"):
        answer = viewer.get(f"{path}?{query}")
        assert (answer.status_code, MODEL in answer.text) == (200, True)
    assert viewer.get(f"{PAGES[1]}?{query}&before=&kind=").status_code == 200


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("sort=since", "descending"),
        ("sort=look&backwards=true", "ascending"),
        ("sort=model", "ascending"),
        ("sort=model&backwards=true", "descending"),
        ("", "descending"),
    ],
)
def test_a_column_says_in_which_order_it_is(server: Any, query: str, order: str) -> None:
    (head,) = re.findall(
        r'<th scope="col" aria-sort="(\w+)">.*?aria-hidden="true"> (.)<',
        caller(server, "viewer").get(f"/understudy/?{query}").text,
        re.DOTALL,
    )
    assert head == (order, {"ascending": "▲", "descending": "▼"}[order])


@pytest.mark.parametrize("query", ["page=0", "size=1000000", "sort=up", "health=ill", "search=" + "x" * 300])
def test_an_address_that_is_not_understood_says_what_is_wrong(server: Any, query: str) -> None:
    for path in ("/understudy/", "/understudy/api/models"):
        answer = caller(server, "viewer").get(f"{path}?{query}")
        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.text


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


def test_the_fleet_says_how_what_is_tried_does(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, short = connect(), "needs about 1,900 more labels, ~4 h"
    serving = hooks.deployments.current("model_0003")
    assert serving is not None
    by = By(actor="ann", reason="a look")
    mirrored = write_beside(hooks.deployments, serving, Change.MIRROR_STARTED, bundle("model_0003", 9), 0.5, by=by)
    asked = TrialsAsked(lambda model: f"{model} {short}", patience_s=60)
    monkeypatch.setattr(fleet_page, "trials_asked", lambda: asked)
    viewer = caller(server, "viewer")
    assert viewer.get("/understudy/").text.count(f"model_0003 {short}") == 1
    told = viewer.get("/understudy/api/models").json()["models"]
    assert {one["model"]: one["progress"] for one in told if one["progress"]} == {"model_0003": f"model_0003 {short}"}
    write_beside(hooks.deployments, mirrored, Change.MIRROR_ENDED, by=by)
    assert short not in viewer.get("/understudy/").text


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


def test_a_run_that_acted_on_a_model_leads_to_its_decision(server: Any) -> None:
    run, ledger = AirflowRun(dag_id="hold", run_id="cockpit__2026-01-01T00:00:00+00:00"), connect().ledger
    other = run.model_copy(update={"dag_id": "release"})
    # Of two DAGs that were started at the same moment, the runs have the same name.
    ledger.append(MODEL, EntryKind.RELEASED, "ann", "over", run_key(run.run_id), other.model_dump())
    held = ledger.append(MODEL, EntryKind.HELD, "ann", "the audit", run_key(run.run_id), run.model_dump())
    released = ledger.append(MODEL, EntryKind.RELEASED, "ann", "over")
    viewer = caller(server, "viewer")
    card = f"/understudy/models/{MODEL}/cards/{held.seq}"
    assert viewer.get(f"/understudy/dags/hold/runs/{run.run_id}").headers["location"] == card
    assert f'href="/dags/hold/runs/{quote(run.run_id, safe="")}"' in viewer.get(card).text
    assert "/dags/hold/runs/" not in viewer.get(f"/understudy/models/{MODEL}/cards/{released.seq}").text


def test_a_run_that_decided_nothing_says_so_and_so_does_one_about_a_model_of_others(server: Any) -> None:
    run = AirflowRun(dag_id="hold", run_id="cockpit__secret")
    connect().ledger.append(MODEL, EntryKind.HELD, "ann", "the audit", run_key(run.run_id), run.model_dump())
    connect().ledger.append(MODEL, EntryKind.RELEASED, "ann", "over")
    for role, path in (("viewer", "rollback/runs/dry"), (None, "hold/runs/cockpit__secret")):
        answer = caller(server, role).get(f"/understudy/dags/{path}")
        assert answer.status_code == 404
        assert "is in the ledger" in answer.text
        assert MODEL not in answer.text


def test_a_ledger_that_cannot_be_read_is_said_and_shows_no_old_state(
    server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from understudy.hooks.errors import LedgerUnavailable
    from understudy.hooks.ledger.ledger import Ledger

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


def test_the_action_of_a_paused_dag_is_not_offered_and_the_way_out_is(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dags = {dag_id: DagState(dag_id=dag_id, is_paused=dag_id == "rollback") for dag_id in ("rollback", "lock", "hold")}
    monkeypatch.setattr(model_page, "read_airflow", lambda _: Airflow(dags=dags))
    text = caller(server, "admin").get(PAGES[1]).text
    (pressed,) = re.findall(r"<button[^>]*disabled[^>]*>Roll back</button>", text)
    assert "The DAG rollback is paused." in pressed
    assert '<a data-in-airflow href="/dags/rollback">rollback</a> is paused' in text
    assert re.search(rf'<code>understudy rollback {MODEL} --to \d+ --reason "…"</code>', text)
    assert not re.search(r"<button[^>]*disabled[^>]*>Hold</button>", text)


def test_a_browser_keeps_a_script_only_if_its_address_names_the_version(server: Any) -> None:
    for query, kept in (("", "no-cache"), ("?1.2.3", "public, max-age=3600")):
        answer = caller(server, "viewer").get(f"/understudy/static/following.js{query}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, kept)


def test_the_ledger_says_when_something_was_decided_and_not_only_how_long_ago(server: Any) -> None:
    text = caller(server, "viewer").get(f"/understudy/models/{MODEL}").text.partition('id="ledger"')[2]
    decided = text.count('<td class="number"><a href=')
    assert decided > 0
    assert len(re.findall(r'<td class="at">\d{4}-\d\d-\d\d \d\d:\d\d UTC<span', text)) == decided
