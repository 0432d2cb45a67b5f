"""The cockpit as people use it, in a real browser on a real stack: the engineer on call, a colleague, a visitor."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml

from tests.e2e.airflow_site import Site, running_site, wait
from tests.e2e.browser import NARROW, Page, browser
from understudy.contract.release import Blessing
from understudy.contract.words import Action, Change, EntryKind
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN, write_private
from understudy.hooks.beside import write_beside
from understudy.hooks.connect import Hooks
from understudy.hooks.reigns import reigns
from understudy.settings import settings

pytestmark = pytest.mark.e2e

ONCALL, VISITOR = "olga", "vera"
PASSWORDS = {ADMIN: "the-admins", ONCALL: "the-oncalls", VISITOR: "the-visitors"}
USERS = f"{ADMIN}:admin,{ONCALL}:user,{VISITOR}:viewer"
BEFORE_FAULT, FAULT_ENDS, SEEN = "2024-04-10T00:00:00Z", "2024-04-17T00:00:00Z", "2024-04-24T00:00:00Z"
REASON = "It tells the opposite of what happens: it learned from the broken meter"
HOSTILE = "<img src=x onerror=alert(1)> callers complain'; DROP TABLE ledger; --"
ACTIONS = ("rollback", *(action.value for action in Action))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("oncall")
    declare(home, "demand", window="7d", monitor={"schedule": "0 0 1 1 *", "of": "data", "window": "7d"})
    declare(home, "vote", promotion={"mode": "approval", "approvers": [ADMIN, ONCALL], "timeout": "2h"})
    write_private(Layout(home=home).passwords, json.dumps(PASSWORDS))
    with running_site(home, "process", {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": USERS}) as running:
        for dag_id in ("retrain__demand", "monitor__demand", "retrain__vote", *ACTIONS):
            running.api.wait_for_dag(dag_id, 400)
        yield running


def declare(home: Path, model: str, window: str | None = None, **sections: Any) -> None:
    """Declare a quick model of quarter-hourly weather, whose meter tells the opposite in the week of the fault."""
    rng, rows = np.random.default_rng(1), 12_000
    at = pd.date_range("2024-01-01", periods=rows, freq="15min", tz="UTC")
    wind, sun = rng.normal(size=rows), rng.normal(size=rows)
    up = wind + sun + 0.4 * rng.normal(size=rows) > 0
    is_wrong = (at >= pd.Timestamp(BEFORE_FAULT)) & (at < pd.Timestamp(FAULT_ENDS))
    folder = home / "models" / model
    folder.mkdir(parents=True)
    source = home / f"{model}.csv"
    pd.DataFrame({"at": at, "wind": wind, "sun": sun, "up": (up ^ is_wrong).astype(int)}).to_csv(source, index=False)
    kept = {"window": window} if window else {}
    spec = {
        "model": model, "owner": "market-ml", "task": "binary_classification",
        "data": {"source": str(source), "time": "at", "target": "up", **kept},
        "train": {"estimator": "logistic_regression"},
        "evaluate": {"must_beat": ["dummy"]}, "gates": [{"metric": "roc_auc", "floor": 0.6, "min_rows": 100}],
        "retrain": {"quality": False, "drift": False}, "serving": {}, **sections,
    }  # fmt: skip
    (folder / "model.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")


@pytest.fixture(scope="module")
def bad_champion(site: Site) -> None:
    """Let demand learn a week in which its meter told the opposite, pass every gate by it, and be looked at."""
    for as_of in (BEFORE_FAULT, FAULT_ENDS):
        run = site.api.trigger("retrain__demand", {"reason": "the weekly one", "as_of": as_of})
        assert site.ended("demand", run)["outcome"] == "promoted"
    assert site.look("demand", SEEN)["is_due"] is False


@contextmanager
def somebody(site: Site, user: str) -> Iterator[Page]:
    """Open a browser in which somebody is logged in."""
    with browser(site.api.url, site.token(user, PASSWORDS[user])) as page:
        yield page


def open_model(page: Page, model: str) -> None:
    page.open(f"/plugin/models/understudy/models/{model}")
    page.enter_frame()
    page.find("h1", model)


def champions(model: str) -> list[int]:
    """List who was champion, oldest first."""
    return [reign.champion.version for reign in reigns(Hooks(settings()).deployments.history(model))]


def answering(site: Site, model: str) -> tuple[int, str | None]:
    """Ask the gateway as a caller does: the status, and the version that answered."""
    body = {"dataframe_split": {"columns": ["wind", "sun"], "data": [[0.5, -1.0]]}}
    found = httpx.post(f"{site.gateway}/models/{model}/invocations", json=body, timeout=60, trust_env=False)
    return found.status_code, found.headers.get("X-Understudy-Version")


def test_the_engineer_on_call_finds_the_bad_model_and_takes_it_back(
    site: Site, bad_champion: None, tmp_path: Path
) -> None:
    wait(lambda: answering(site, "demand") == (200, "2"), 120)
    with browser(site.api.url) as page:
        log_in(page, ONCALL)
        find_and_read(page, tmp_path)
        roll_back(page, tmp_path)
        page.find("dd", "version 1")
        page.find("#ledger td", REASON)
        page.picture(tmp_path / "oncall-5-done.png")
        in_the_dark_and_on_a_phone(page, tmp_path)
        page.find("dd a", "retrain__demand").click()
        page.until(lambda driver: driver.current_url.endswith("/dags/retrain__demand"), "the DAG's page in Airflow")
    assert champions("demand") == [1, 2, 1]
    newest = site.entries("demand", EntryKind.DEPLOYED)[-1]
    assert (newest.actor, newest.reason) == (ONCALL, REASON)
    wait(lambda: answering(site, "demand") == (200, "1"), 30)
    # One that only said and one that did: the second of two clicks was no third.
    assert len(site.runs_of("rollback")) == 2


def log_in(page: Page, user: str) -> None:
    """Log in by Airflow's form, as a stranger to whom the address was sent is asked to."""
    page.open("/plugin/models")
    page.find("input[name=username]").send_keys(user)
    page.find("input[name=password]").send_keys(f"{PASSWORDS[user]}\n")
    page.until(lambda driver: driver.current_url.endswith("/plugin/models"), "the page that was asked for")


def find_and_read(page: Page, pictures: Path) -> None:
    """See which model is in trouble, and read why."""
    page.enter_frame()
    assert "demand" in page.find("tbody tr").text, "what needs attention comes first"
    assert "Needs attention" in page.find("tbody tr", "demand").text
    assert page.unreachable() == []
    page.picture(pictures / "oncall-1-fleet.png")
    page.enter_frame()
    page.find("input[name=search]").send_keys("demand\n")
    page.until(lambda driver: "search=demand" in driver.execute_script("return location.search"), "the search")
    page.find("a.name", "demand").click()
    page.find(".notice.bad", "Its last look found something wrong")
    assert page.unreachable() == []
    page.picture(pictures / "oncall-2-model.png")
    page.enter_frame()
    page.find("dd a[href*='/cards/']", "roc_auc is").click()
    page.find("h2", "What was decided")
    lost = page.find("tr", "quality.loss")
    assert "failed" in lost.text
    assert page.unreachable() == []
    page.picture(pictures / "oncall-3-card.png")
    page.enter_frame()
    page.find(".bar a", "demand").click()


def roll_back(page: Page, pictures: Path) -> None:
    """Say why, see what would happen, and do it."""
    page.find("button", "Roll back").click()
    page.find("#act-reason").send_keys(REASON)
    assert not page.find("#act-do").is_enabled()
    page.find("#act-dry").click()
    page.find("#act-answer", "goes back from version 2 to version 1")
    assert champions("demand") == [1, 2]
    assert page.unreachable() == []
    page.picture(pictures / "oncall-4-dry-run.png")
    page.enter_frame()
    # Two clicks at once, as from a nervous hand.
    page.driver.execute_script("const go = document.getElementById('act-do'); go.click(); go.click();")
    page.find("#act-answer", "version 1 of demand is champion again")
    page.find("#act-close").click()


def in_the_dark_and_on_a_phone(page: Page, pictures: Path) -> None:
    """Look at the pages in Airflow's dark mode and on a narrow screen; leave the page of the model open."""
    page.driver.switch_to.default_content()
    page.driver.execute_script("localStorage.setItem('theme', 'dark')")
    card = f"understudy/models/demand/cards/{Hooks(settings()).ledger.entries('demand', [EntryKind.MONITORED])[-1].seq}"
    for name, path in (("fleet", ""), ("card", card), ("model", "understudy/models/demand")):
        for kind, size in (("dark", (1360, 860)), ("narrow", NARROW)):
            page.driver.set_window_size(*size)
            page.open(f"/plugin/models/{path}")
            page.enter_frame()
            page.find("h1")
            assert page.driver.execute_script("return document.documentElement.dataset.theme") == "dark"
            assert page.unreachable() == []
            width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.driver.execute_script(width) <= 0, f"{name} {kind} is wider than its frame"
            page.picture(pictures / f"oncall-{kind}-{name}.png", size)
            page.enter_frame()
    page.driver.set_window_size(1360, 860)


def test_people_answer_what_a_retraining_asks_in_the_browser(site: Site, tmp_path: Path) -> None:
    with somebody(site, ADMIN) as admin, somebody(site, ONCALL) as oncall:
        ask_for_retraining(admin, "vote", "the first one", tmp_path)
        first = site.runs("vote", "manual")[-1]["dag_run_id"]
        site.asked("vote")
        open_model(admin, "vote")
        answer(admin, "Reject", "<b>not</b> before the audit", "it was received")
        ended = site.ended("vote", first)
        assert (ended["outcome"], ended["champion"]) == ("rejected", None)
        assert ended["sentence"] == f"version 1 was rejected by {ADMIN}: <b>not</b> before the audit"

        second = site.api.trigger("retrain__vote", {"reason": "the second one", "as_of": BEFORE_FAULT})
        site.asked("vote")
        for page in (admin, oncall):
            open_model(page, "vote")
        assert oncall.unreachable() == []
        oncall.picture(tmp_path / "approval.png")
        oncall.enter_frame()
        answer(oncall, "Approve", HOSTILE, "it was received")
        answer(admin, "Reject", "I would rather not", "Somebody was faster")
    ended = site.ended("vote", second)
    assert (ended["outcome"], ended["champion"]) == ("promoted", 2)
    answers = [
        (entry.facts["answer"], entry.actor, entry.reason)
        for entry in site.entries("vote", EntryKind.APPROVAL_ANSWERED)
    ]
    assert answers == [("rejected", ADMIN, "<b>not</b> before the audit"), ("approved", ONCALL, HOSTILE)]


def ask_for_retraining(page: Page, model: str, reason: str, pictures: Path) -> None:
    """Press Retrain now; a reason is asked for first."""
    open_model(page, model)
    page.find("button", "Retrain now").click()
    page.find("#act-do").click()
    page.find("#act-answer", "Say in a sentence why")
    page.find("#act-reason").send_keys(reason)
    page.driver.execute_script("const go = document.getElementById('act-do'); go.click(); go.click();")
    page.find("#act-answer", "The run has begun")
    page.picture(pictures / "retrain.png")


def answer(page: Page, option: str, reason: str, told: str) -> None:
    """Answer a question of the model that is shown."""
    page.find("section.notice button", option).click()
    assert not page.driver.find_element("id", "act-dry").is_displayed()
    page.find("#act-do").click()
    page.find("#act-answer", "Say in a sentence why")
    page.find("#act-reason").send_keys(reason)
    page.find("#act-do").click()
    page.find("#act-answer", told)
    page.find("#act-close").click()


@pytest.fixture(scope="module")
def served(site: Site) -> Site:
    """Let vote serve, whoever approved it, and let an earlier version answer along."""
    if not champions("vote"):
        run = site.api.trigger("retrain__vote", {"reason": "the first one", "as_of": BEFORE_FAULT})
        site.api.answer(site.asked("vote"), "Approve", {"reason": "it is needed"})
        assert site.ended("vote", run)["outcome"] == "promoted"
    return site


def press(page: Page, name: str, reason: str, *, would: str, told: str) -> None:
    """Do one action of the page: a reason, a dry run, the press, the answer."""
    page.find(".actions button", name).click()
    page.find("#act-reason").send_keys(reason)
    page.find("#act-dry").click()
    page.find("#act-answer .notice", would)
    page.find("#act-do").click()
    page.find("#act-answer .notice", told)
    page.find("#act-close").click()
    page.find("h1")


def test_every_action_of_the_page_is_done_by_whoever_pressed_it(served: Site) -> None:
    rehearse_an_earlier_version("vote")
    with somebody(served, ONCALL) as page:
        open_model(page, "vote")
        press(page, "Stop what is tried", "it slows us", would="no longer answers", told="no longer answers")
        press(page, "Hold", "stocktaking", would="vote is held", told="vote is held")
        page.find(".notice", "stocktaking")
        press(page, "Release", "it is over", would="is released", told="is released")
        press(page, "Lock", "the audit", would="is locked", told="is locked")
        press(page, "Unlock", "the audit is over", would="can be replaced", told="can be replaced")
        page.find(".actions button", "Lock")
    kinds = (EntryKind.HELD, EntryKind.RELEASED, EntryKind.LOCKED, EntryKind.UNLOCKED)
    done = [(entry.kind, entry.actor, entry.reason) for kind in kinds for entry in served.entries("vote", kind)]
    reasons = ("stocktaking", "it is over", "the audit", "the audit is over")
    assert done == [(kind, ONCALL, reason) for kind, reason in zip(kinds, reasons, strict=True)]
    ended = served.entries("vote", EntryKind.DEPLOYED)[-1]
    assert (ended.actor, ended.reason) == (ONCALL, "it slows us")
    assert Hooks(settings()).deployments.current("vote").mirror is None  # type: ignore[union-attr]


def rehearse_an_earlier_version(model: str) -> None:
    """Write that the last version which does not serve answers along, as a rehearsal would."""
    hooks = Hooks(settings())
    current = hooks.deployments.current(model)
    assert current is not None
    blessed = [Blessing.model_validate(entry.facts) for entry in hooks.ledger.entries(model, [EntryKind.BLESSED])]
    tried = [one.challenger for one in blessed if one.challenger.version != current.champion.version][-1]
    write_beside(hooks.deployments, current, Change.MIRROR_STARTED, tried, 0.5, actor="ann", reason="a look", run=None)


def test_of_two_people_at_once_one_acts_and_the_other_is_told_who(served: Site) -> None:
    before = len(served.entries("vote", EntryKind.HELD))
    with somebody(served, ADMIN) as admin, somebody(served, ONCALL) as oncall:
        pages = {ADMIN: admin, ONCALL: oncall}
        for page in pages.values():
            open_model(page, "vote")
            page.find(".actions button", "Hold").click()
            page.find("#act-reason").send_keys("both of us")
            page.find("#act-dry").click()
            page.find("#act-answer .notice", "vote is held")
        for page in pages.values():
            page.find("#act-do").click()
        told = {user: page.find("#act-answer .good, #act-answer .bad") for user, page in pages.items()}
        (held,) = served.entries("vote", EntryKind.HELD)[before:]
        loser = ({ADMIN, ONCALL} - {held.actor}).pop()
        assert "good" in told[held.actor].get_attribute("class")
        assert "bad" in told[loser].get_attribute("class")
        assert f"vote is held already, by {held.actor}" in told[loser].text
        pages[loser].find("#act-close").click()
        press(pages[loser], "Release", "agreed", would="is released", told="is released")


def test_who_may_only_look_sees_everything_and_changes_nothing(served: Site, tmp_path: Path) -> None:
    before = len(Hooks(settings()).ledger.entries())
    with somebody(served, VISITOR) as page:
        open_model(page, "vote")
        page.find("p", "You see everything and may change nothing")
        buttons = page.driver.find_elements("css selector", ".actions button")
        assert len(buttons) > 2
        assert not any(button.is_enabled() for button in buttons)
        assert page.unreachable() == []
        page.picture(tmp_path / "visitor.png")
        page.enter_frame()
        # Whoever takes the bars away is refused all the same, and told so.
        page.driver.execute_script(
            "document.querySelectorAll('.actions button').forEach((one) => one.disabled = false)"
        )
        page.find(".actions button", "Hold").click()
        page.find("#act-reason").send_keys("because I can")
        page.find("#act-dry").click()
        page.find("#act-answer .bad", "Your role may not do this")
    assert len(Hooks(settings()).ledger.entries()) == before


def test_a_reason_that_is_too_long_is_said_and_not_cut(served: Site) -> None:
    before = len(served.runs_of("hold"))
    with somebody(served, ONCALL) as page:
        open_model(page, "vote")
        page.find(".actions button", "Hold").click()
        page.driver.execute_script("document.getElementById('act-reason').value = 'x'.repeat(10000)")
        page.find("#act-dry").click()
        page.find("#act-answer", "The reason has 10,000 characters; 1,000 are allowed.")
        assert not page.find("#act-do").is_enabled()
    assert len(served.runs_of("hold")) == before


def test_a_dry_run_that_ends_late_says_nothing_in_another_dialog(served: Site) -> None:
    with somebody(served, ONCALL) as page:
        open_model(page, "vote")
        page.find(".actions button", "Hold").click()
        page.find("#act-reason").send_keys("stocktaking")
        page.find("#act-dry").click()
        page.find("#act-close").click()
        page.find(".actions button", "Lock").click()
        begun = served.runs_of("hold")[-1]["dag_run_id"]
        wait(lambda: {run["dag_run_id"]: run["state"] for run in served.runs_of("hold")}[begun] == "success", 120)
        # The script asks once a second; the answer to its last question is read by the next press.
        page.find("#act-reason").send_keys("the audit")
        page.find("#act-dry").click()
        assert "is locked" in page.find("#act-answer .notice", "This would happen").text


ATTACK = """
const [url, done] = arguments;
const body = JSON.stringify({logical_date: null, conf: {model: "vote", reason: "from elsewhere"}});
const send = (headers, mode) => fetch(`${url}/api/v2/dags/hold/dagRuns`,
  {method: "POST", credentials: "include", mode, headers, body}).then((got) => got.status, () => "blocked");
(async () => done([
  await send({"Content-Type": "application/json"}, "cors"),
  await send({"Content-Type": "text/plain"}, "no-cors"),
  await fetch(`${url}/understudy/api/models`, {credentials: "include"}).then((got) => got.status, () => "blocked"),
]))();
"""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_another_site_neither_acts_nor_reads_with_the_login_of_who_visits_it(served: Site, host: str) -> None:
    before = len(served.runs_of("hold"))
    with elsewhere(host) as address, browser(served.api.url) as page:
        log_in(page, ONCALL)
        page.driver.get(address)
        acted, sent_blindly, read = page.driver.execute_async_script(ATTACK, served.api.url)
        # What was sent blindly arrived, perhaps with the login; its answer is nobody's to read.
        assert (acted, sent_blindly, read) == ("blocked", 0, "blocked")
        # A frame of another site shows nothing of ours.
        page.driver.execute_script(
            "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame)",
            f"{served.api.url}/understudy/models/vote",
        )
        page.enter_frame()
        assert page.driver.find_elements("css selector", ".actions button") == []
    assert len(served.runs_of("hold")) == before


@contextmanager
def elsewhere(host: str) -> Iterator[str]:
    """Serve an empty page from another origin."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><p>Win a prize")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
