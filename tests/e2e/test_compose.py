"""The stack for one server as it is shipped: PostgreSQL, accounts, the socket proxy, a container for every stage."""

import base64
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import IMAGE
from tests.e2e.browser import browser
from tests.e2e.compose_stack import (
    REFUSES,
    SETTLED_WITHIN_S,
    ComposeStack,
    account,
    compose_stack,
    token_of,
    wait,
    what_compose_lacks,
)
from tests.e2e.engine_bypasses import ELSEWHERE, Bypass, acts_on, create, descriptions
from tests.e2e.oncall.people import begin, open_model
from tests.unit.engine_proxy.fake_engine import written
from understudy.contract.load import SPEC_FILE
from understudy.contract.words import EntryKind, Verdict
from understudy.settings import PROJECT, settings
from understudy.story.acts import Market
from understudy.story.live import markets, traffic_of
from understudy.story.scenery import LIVE

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

MODEL = "powerprice"
ACCOUNTS = {"viewer": "Viewer", "oncall": "On-call", "platform": "Platform"}
PASSWORD = "a password for the test"
ASK = """
import http.client, json
def ask(method, path, body=None):
    engine = http.client.HTTPConnection("docker-proxy", 2375, timeout=20)
    sent = None if body is None else json.dumps(body)
    engine.request(method, "/v1.41" + path, sent, {"Content-Type": "application/json"})
    return engine.getresponse().status
"""
SAY = """
import base64, json, socket, zlib
def say(sent):
    with socket.create_connection(("docker-proxy", 2375), timeout=60) as client:
        client.sendall(zlib.decompress(base64.b64decode(sent)))
        heard = b""
        while chunk := client.recv(65536):
            heard += chunk
    return int(heard.split()[1])
"""
REFUSED = {400, 403, 413}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    lack = what_compose_lacks()
    if lack is not None:
        if os.environ.get("CI"):
            pytest.fail(f"CI has to have the stack, but {lack}", pytrace=False)
        pytest.skip(lack)
    with compose_stack(tmp_path_factory.mktemp("compose"), rehearsed(tmp_path_factory.mktemp("models"))) as running:
        yield running


def rehearsed(folder: Path) -> Path:
    """Declare the sample as one whose challengers show on live requests what they can, as the demo does."""
    path = folder / MODEL / SPEC_FILE
    spec = yaml.safe_load((settings().models_dir / MODEL / SPEC_FILE).read_text(encoding="utf-8"))
    spec |= {section: LIVE[section] for section in ("serving", "shadow")}
    spec["train"] |= {"budget": 2}
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    folder.chmod(0o755)  # others than who tests read it in the containers
    return folder


@pytest.fixture(scope="module")
def second_champion(stack: ComposeStack) -> int:
    """Retrain twice, a year of market apart, the second time under requests; return the version that serves now."""
    first = stack.cli("retrain", MODEL, "--as-of", "2024-01-01", "--reason", "the first")
    assert (first["outcome"], first["champion"]) == ("promoted", 1), first
    wait(lambda: served(stack) == 1, SETTLED_WITHIN_S, lambda: stack.logs("gateway"))
    traffic = traffic_of(stack.url("edge", 8090), markets()[Market.NEW])
    traffic.start()
    try:
        second = stack.cli("retrain", MODEL, "--as-of", "2025-02-01", "--reason", "the market changed")
    finally:
        traffic.stop()
    assert (second["outcome"], second["champion"]) == ("promoted", 2), second
    answered = traffic.since(0)
    assert (answered.failed, set(answered.versions)) == (0, {1, 2}), answered
    return 2


def served(stack: ComposeStack) -> int:
    answer = httpx.get(f"{stack.url('edge', 8090)}/v2/models/{MODEL}", timeout=30, trust_env=False)
    return int(answer.json()["versions"][0]) if answer.is_success else 0


def test_retrain_promote_roll_back_and_restore_on_postgresql(
    stack: ComposeStack, second_champion: int, tmp_path: Path
) -> None:
    wait(lambda: served(stack) == second_champion, SETTLED_WITHIN_S, lambda: stack.logs("gateway"))
    take, _, go_back = documented("Backup and restore")
    stack.type(take, tmp_path)
    entries = len(stack.cli("ledger", MODEL))
    with tarfile.open(tmp_path / "2026-11-27.tar") as taken:
        assert {"2026-11-27/manifest.json"} <= set(taken.getnames())
    # What the gateway has learned since is newer than what comes back.
    stack.cli("rollback", MODEL, "--reason", "worse at night")
    wait(lambda: served(stack) == 1, SETTLED_WITHIN_S, lambda: stack.logs("gateway"))

    stack.type(go_back, tmp_path)
    stack.wait_until_healthy()
    assert len(stack.cli("ledger", MODEL)) == entries
    wait(lambda: served(stack) == second_champion, SETTLED_WITHIN_S, lambda: stack.logs("gateway"))
    assert (tmp_path / "ledger-before.dump").read_bytes().startswith(b"PGDMP")

    rolled_back = stack.cli("rollback", MODEL, "--reason", "worse at night")
    assert rolled_back["champion"]["version"] == 1
    wait(lambda: served(stack) == 1, SETTLED_WITHIN_S, lambda: stack.logs("gateway"))
    assert stack.cli("ledger", "--verify")["ok"]


def documented(heading: str) -> list[str]:
    """Read the blocks of a part of docs/compose.md that can be typed as they are."""
    part = re.split(r"^## ", (PROJECT / "docs" / "compose.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (text,) = (one for one in part if one.startswith(f"{heading}\n"))
    return re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_second_champion_was_promoted_after_its_rehearsal_on_live_requests(
    stack: ComposeStack, second_champion: int
) -> None:
    told = stack.cli("ledger", MODEL)
    deployed = [entry for entry in told if entry["kind"] == EntryKind.DEPLOYED]
    champions = {entry["seq"]: entry["facts"]["deployment"]["champion"]["version"] for entry in deployed}
    promoted = min(seq for seq, version in champions.items() if version == second_champion)
    (run,) = (entry["run"] for entry in told if entry["seq"] == promoted)
    (rehearsed,) = (entry for entry in told if (entry["kind"], entry["run"]) == (EntryKind.REHEARSED, run))
    assert rehearsed["facts"]["verdict"] == Verdict.PASSED
    assert rehearsed["seq"] < promoted


def test_every_stage_ran_in_a_sealed_container_started_through_the_proxy(
    stack: ComposeStack, second_champion: int
) -> None:
    told = stack.cli("ledger", MODEL)
    champions = [entry["facts"]["deployment"]["champion"] for entry in told if "deployment" in entry["facts"]]
    images = {champion["image_digest"] for champion in champions}
    assert second_champion in {champion["version"] for champion in champions}
    assert all(image.startswith("sha256:") for image in images)


def tried(stack: ComposeStack, bypasses: list[Bypass]) -> dict[str, int]:
    """Send them from where the tasks run, and give the proxy's answers."""
    # Pressed: an argument of a command has 128 KiB at most, and one of them pads by half of that.
    sent = [base64.b64encode(zlib.compress(bypass.sent)).decode() for bypass in bypasses]
    told = stack.python("scheduler", f"{SAY}\nprint([say(sent) for sent in {sent!r}])")
    return {bypass.what: status for bypass, status in zip(bypasses, json.loads(told), strict=True)}


def test_no_container_gets_out_of_its_box(stack: ComposeStack) -> None:
    answers = tried(stack, [*descriptions(IMAGE), *ELSEWHERE])
    assert {what: status for what, status in answers.items() if status not in REFUSED} == {}


def test_a_container_that_stays_in_its_box_is_created_and_removed(stack: ComposeStack) -> None:
    made = Bypass("made", written("POST", "/v1.41/containers/create?name=understudy-boxed", create(IMAGE)))
    gone = Bypass("gone", written("DELETE", "/v1.41/containers/understudy-boxed?v=1&force=1"))
    assert tried(stack, [made, gone]) == {"made": 201, "gone": 204}


def test_the_stack_s_own_containers_are_out_of_the_tasks_reach(stack: ComposeStack) -> None:
    for service in ("postgres", "docker-proxy"):
        container = stack.compose("ps", "--quiet", service).stdout.strip()
        for called in (container, container[:12], f"{stack.project}_{service}_1"):
            answers = tried(stack, acts_on(called))
            # Compose v2 calls it otherwise, and then nobody is called so.
            assert {what: status for what, status in answers.items() if status not in REFUSED | {404}} == {}
    stack.wait_until_healthy()


def test_the_proxy_hands_on_what_a_stage_needs_and_nothing_else(stack: ComposeStack) -> None:
    asked = {
        ("GET", "/version"): 200,
        ("GET", "/containers/json?all=1"): 200,
        ("GET", "/images/understudy-stage:0.1.0/json"): 200,
        ("GET", "/containers/nobody/json"): 404,
        ("DELETE", "/containers/nobody"): 404,
        ("GET", "/info"): 403,
        ("GET", "/images/json"): 403,
        ("POST", "/images/create?fromImage=x"): 403,
        ("POST", "/build"): 403,
        ("POST", "/containers/nobody/exec"): 403,
        ("POST", "/exec/1/start"): 403,
        ("POST", "/containers/nobody/update"): 403,
        ("POST", "/containers/prune"): 403,
        ("GET", "/containers/nobody/%2e%2e/json"): 403,
        ("DELETE", "/volumes/nobody"): 403,
        ("POST", "/networks/nobody/connect"): 403,
        ("GET", "/secrets"): 403,
    }
    told = stack.python("scheduler", f"{ASK}\nprint([ask(*asked) for asked in {list(asked)!r}])")
    assert dict(zip(asked, json.loads(told), strict=True)) == asked


def test_the_other_executor_can_be_chosen(stack: ComposeStack) -> None:
    asking = "from airflow.providers.celery.executors.celery_executor import CeleryExecutor; print(CeleryExecutor)"
    assert "CeleryExecutor" in stack.python("triggerer", asking)


def test_admin_interfaces_are_on_the_internal_network_and_ask_for_a_token(stack: ComposeStack) -> None:
    edge = stack.url("edge", 8090)
    for path in ("/admin/models/powerprice", "//admin/models/powerprice", "/%61dmin/models/powerprice", "/metrics"):
        assert httpx.get(f"{edge}{path}", timeout=30, trust_env=False).status_code == 404
    for service, port in {"mlflow": 5000, "postgres": 5432, "docker-proxy": 2375, "gateway": 8090}.items():
        assert stack.is_listening(service, port)
        assert stack.compose("port", service, str(port), check=False).stdout.strip() in {"", ":0"}

    asking = """
import urllib.error, urllib.request
def status(url):
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20).status
    except urllib.error.HTTPError as refused:
        return refused.code
print([status(url) for url in (
    "http://mlflow:5000/api/2.0/mlflow/experiments/search?max_results=1",
    "http://mlflow:5000/api/2.0/mlflow-artifacts/artifacts",
    "http://mlflow:5000/",
    "http://gateway:8090/admin/models/powerprice",
)])
"""
    assert json.loads(stack.python("triggerer", asking)) == [401, 401, 401, 401]


@pytest.fixture(scope="module")
def airflow(stack: ComposeStack) -> str:
    """Create an account of each role; return Airflow's address."""
    url = stack.url("api-server", 8080)
    with account(url, "admin", stack.secret("STACK_ADMIN_PASSWORD")) as admin:
        for name, role in ACCOUNTS.items():
            body = {
                "username": name,
                "first_name": name,
                "last_name": name,
                "email": f"{name}@example.com",
                "password": PASSWORD,
                "roles": [{"name": role}],
            }
            made = admin.post("/auth/fab/v1/users", json=body)
            assert made.is_success, made.text
    return url


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("viewer", {"look": True, "run": False, "pause": False, "connections": False, "who did what": False}),
        ("oncall", {"look": True, "run": True, "pause": True, "connections": False, "who did what": False}),
        ("platform", {"look": True, "run": True, "pause": True, "connections": True, "who did what": True}),
    ],
)
def test_a_role_may_do_what_it_is_for_and_no_more(airflow: str, name: str, may: dict[str, bool]) -> None:
    with account(airflow, name, PASSWORD) as client:
        conf = {"model": MODEL, "reason": "asked by a test", "dry_run": True}
        answers = {
            "look": client.get("/api/v2/dags/rollback"),
            "run": client.post("/api/v2/dags/rollback/dagRuns", json={"logical_date": None, "conf": conf}),
            "pause": client.patch("/api/v2/dags/rollback", json={"is_paused": False}),
            "connections": client.get("/api/v2/connections"),
            "who did what": client.get("/api/v2/eventLogs"),
        }
        assert {what: answer.status_code for what, answer in answers.items()} == {
            what: 200 if is_allowed else 403 for what, is_allowed in may.items()
        }


@pytest.mark.parametrize(("name", "status"), [("viewer", 403), ("oncall", 404), ("platform", 404)])
def test_who_only_looks_may_not_answer_what_a_retraining_asks(airflow: str, name: str, status: int) -> None:
    """Nothing is asked here: who may answer is told so, and who may not is told that."""
    asked = f"/api/v2/dags/retrain__{MODEL}/dagRuns/nothing/taskInstances/approve/-1/hitlDetails"
    with account(airflow, name, PASSWORD) as client:
        answer = client.patch(asked, json={"chosen_options": ["Approve"], "params_input": {}})
        assert answer.status_code == status, answer.text


def test_airflow_s_own_audit_log_has_who_acted(airflow: str) -> None:
    conf = {"model": MODEL, "reason": "asked for the audit log", "dry_run": True}
    with account(airflow, "oncall", PASSWORD) as client:
        run = client.post("/api/v2/dags/rollback/dagRuns", json={"logical_date": None, "conf": conf}).json()
    with account(airflow, "platform", PASSWORD) as client:
        told = client.get("/api/v2/eventLogs", params={"limit": 100, "order_by": "-when"}).json()["event_logs"]
    assert run["triggering_user_name"] == "oncall"
    assert ("trigger_dag_run", "rollback", "oncall") in [(one["event"], one["dag_id"], one["owner"]) for one in told]


def test_who_only_looks_sees_the_models_in_the_browser_and_may_not_act(airflow: str) -> None:
    with browser(airflow, token_of(airflow, "viewer", PASSWORD)) as page:
        open_model(page, MODEL)
        page.find("p", "You can see everything and change nothing")


def test_who_only_looks_reads_the_report_that_a_version_was_judged_by(airflow: str, second_champion: int) -> None:
    with account(airflow, "viewer", PASSWORD) as client:
        shown = client.get(f"/understudy/models/{MODEL}/versions/{second_champion}/report")
        assert shown.status_code == 200, shown.text
        assert f"<title>{MODEL}: evaluation of {second_champion}</title>" in shown.text


def test_who_is_on_call_acts_in_the_browser(airflow: str) -> None:
    with browser(airflow, token_of(airflow, "oncall", PASSWORD)) as page:
        open_model(page, MODEL)
        begin(page, "Hold", "asked by a test")
        page.find("#act-dry").click()
        page.find("#act-answer .notice", "This would happen")


def test_receivers_can_be_tried_from_the_command_line_wherever_their_connection_was_made(
    stack: ComposeStack, airflow: str
) -> None:
    with account(airflow, "admin", stack.secret("STACK_ADMIN_PASSWORD")) as admin:
        made = admin.post("/api/v2/connections", json={"connection_id": "made", "conn_type": "http", "host": REFUSES})
        assert made.is_success, made.text
    told = stack.compose("run", "--rm", "-T", "cli", "understudy", "alerts", "test", "--json", check=False).stdout
    tried = json.loads(told[told.index("[") :])
    # Both were found and reached; who answers there takes no alerts.
    assert {one["receiver"]: one["problem"] for one in tried} == {"written": "HTTP 405", "made": "HTTP 405"}


def test_a_command_that_acts_in_airflow_asks_whose_name_it_acts_in(stack: ComposeStack) -> None:
    refused = stack.compose("run", "--rm", "-T", "cli", "understudy", "approvals", check=False)
    assert refused.returncode != 0
    assert "in somebody's name" in " ".join(refused.stderr.split())


def test_doctor_asks_the_stack_that_it_is_in(stack: ComposeStack) -> None:
    told = stack.compose("run", "--rm", "-T", "cli", "understudy", "doctor", "--json", check=False).stdout
    found = {finding["about"]: finding for finding in json.loads(told[told.index("[") :])}
    assert found["airflow"]["severity"] == "fine"
    assert "http://api-server:8080 answers" in found["airflow"]["found"]
    assert found["alerts"]["found"] == "go to made, written"


def test_the_gateway_answers_for_its_predictions(stack: ComposeStack, second_champion: int) -> None:
    told = stack.compose("exec", "-T", "gateway", "understudy", "predictions", "show", MODEL, "--json").stdout
    assert json.loads(told[told.index("{") :])["rows"]


def test_nobody_gets_in_without_an_account(airflow: str) -> None:
    assert httpx.get(f"{airflow}/api/v2/dags", timeout=30, trust_env=False).status_code == 401
    refused = httpx.post(
        f"{airflow}/auth/token", json={"username": "admin", "password": "admin"}, timeout=30, trust_env=False
    )
    assert refused.status_code == 401
