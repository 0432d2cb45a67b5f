"""Who sees what, what others can send, and that nothing is changed here."""

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.integration.cockpit.api_server import JSON, MODEL, PAGES, caller
from understudy.hooks.connect import connect


@pytest.mark.parametrize("path", [*PAGES, *JSON, "/understudy/dags/retrain__x", "/understudy/dags/x/runs/y"])
def test_nobody_sees_anything_without_a_login(server: Any, path: str) -> None:
    nobody = TestClient(server, follow_redirects=False)
    answer = nobody.get(path)
    forged = nobody.get(path, headers={"Authorization": "Bearer forged"})
    cookie = nobody.get(path, headers={"Cookie": "_token=forged"})
    assert (answer.status_code, forged.status_code, cookie.status_code) == (401, 401, 401)
    assert "passed every gate" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_a_login_that_airflow_does_not_take_any_more_leads_to_the_login(server: Any, path: str) -> None:
    answer = TestClient(server, follow_redirects=False).get(path, headers={"Cookie": "_token=forged"})
    assert (answer.status_code, "You are not logged in." in answer.text) == (401, True)
    assert re.search(r'href="/auth/login\?next=[^"]+">Log in</a>', answer.text)
    assert "JWT" not in answer.text


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
        assert answer.status_code == 401
        assert "passed every gate" not in answer.text


def test_no_other_origin_may_read_with_the_login_of_a_visitor(server: Any) -> None:
    for path in (*PAGES, *JSON):
        answer = caller(server, "viewer").get(path, headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
