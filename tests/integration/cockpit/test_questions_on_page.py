"""What whoever is asked for an approval reads, and what a dry run of the answer says."""

import html
import json
import re
from datetime import datetime, timezone
from itertools import count
from typing import Any

import pytest

from tests.fleet_ledger import bundle
from tests.integration.cockpit.api_server import MODEL, PAGES, caller
from understudy.contract.release import Blessing
from understudy.contract.words import EntryKind
from understudy.hooks.connect import connect
from understudy.overview.airflow_state import Airflow, Question
from understudy.ui import model_page
from understudy.workspace import run_key

NUMBERS = count()
ANSWERS = f"/understudy/api/models/{MODEL}/answers/approve"


def ask(monkeypatch: pytest.MonkeyPatch, *, epochs_late: int = 0, assigned: tuple[str, ...] = ()) -> str:
    """Let a run of the model ask for an approval; give the run."""
    run_id, hooks = f"manual__{next(NUMBERS)}", connect()
    record = hooks.deployments.current(MODEL)
    assert record is not None
    blessing = Blessing(
        challenger=bundle(MODEL, 9), champion_version=record.champion.version,
        champion_epoch=record.champion_since - epochs_late, judgement_sha256="a" * 64, rubber_stamped=False,
    )  # fmt: skip
    run = run_key(run_id)
    hooks.ledger.append(MODEL, EntryKind.BLESSED, "ann", "it passed", run, blessing.model_dump(mode="json"))
    hooks.ledger.append(MODEL, EntryKind.REHEARSED, "ann", "it passed", run, {"version": 9})
    question = Question(
        dag_id=f"retrain__{MODEL}", run_id=run_id, task_id="approve", map_index=-1, subject="May version 9?",
        options=("Approve", "Reject"), params={"reason": ""}, assigned=assigned, since=datetime.now(timezone.utc),
    )  # fmt: skip
    monkeypatch.setattr(model_page, "read_airflow", lambda _: Airflow(dags={}, questions=(question,)))
    return run_id


def foretold(server: Any, run: str, option: str = "Approve") -> dict[str, Any]:
    answer = caller(server, "user").get(ANSWERS, params={"run": run, "option": option})
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


def serving() -> int:
    record = connect().deployments.current(MODEL)
    assert record is not None
    return record.champion.version


def test_whoever_is_asked_reads_what_the_version_was_judged_by(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(monkeypatch)
    text = caller(server, "user").get(PAGES[1]).text
    judged = connect().ledger.entries(MODEL, [EntryKind.REHEARSED])[-1].seq
    assert "May version 9?" in text
    assert f'<a href="{PAGES[1]}/cards/{judged}">Read what version 9 was judged by</a>' in text
    acts = [json.loads(html.unescape(raw))["acts"] for raw in re.findall(r'data-answer="([^"]*)"', text)]
    assert acts == ["promote", None]
    assert "promote nothing" not in text


def test_a_dry_run_of_an_answer_says_what_would_come_of_it_and_gives_none(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before = ask(monkeypatch), len(connect().ledger.entries())
    approved = {"sentence": f"Version 9 becomes champion in place of version {serving()}.", "is_refused": False}
    assert foretold(server, run) == approved
    assert "Version 9 is rejected" in foretold(server, run, "Reject")["sentence"]
    assert len(connect().ledger.entries()) == before


def test_another_champion_is_said_before_the_answer_is_used_up(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ask(monkeypatch, epochs_late=1)
    assert "An approval would be used up and promote nothing." in caller(server, "user").get(PAGES[1]).text
    told = foretold(server, run)
    assert "was judged against" in told["sentence"]
    assert told["is_refused"] is True


@pytest.mark.parametrize(
    ("kind", "end", "says"),
    [
        (EntryKind.HELD, EntryKind.RELEASED, f"{MODEL} is held by ann"),
        (EntryKind.LOCKED, EntryKind.UNLOCKED, "is locked as champion (the audit)"),
    ],
)
def test_a_hold_or_a_lock_is_said_before_the_answer_is_used_up(
    server: Any, monkeypatch: pytest.MonkeyPatch, kind: EntryKind, end: EntryKind, says: str
) -> None:
    run, facts = ask(monkeypatch), {"version": serving()} if kind is EntryKind.LOCKED else {}
    connect().ledger.append(MODEL, kind, "ann", "the audit", facts=facts)
    try:
        page = caller(server, "user").get(PAGES[1]).text
        told = foretold(server, run)
    finally:
        connect().ledger.append(MODEL, end, "ann", "over", facts=facts)
    assert re.search(f"<strong>[^<]*{re.escape(says)}[^<]*</strong> An approval would be used up", page)
    assert (says in told["sentence"], told["is_refused"]) == (True, True)
    assert "becomes champion" in foretold(server, run)["sentence"]


def test_whoever_is_not_asked_is_told_so(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = foretold(server, ask(monkeypatch, assigned=("olga",)))
    assert told == {"sentence": "Only olga may answer this.", "is_refused": True}


def test_nothing_is_foretold_of_what_is_not_asked(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, user = ask(monkeypatch), caller(server, "user")
    gone = user.get(ANSWERS, params={"run": "another", "option": "Approve"})
    assert (gone.status_code, "does not ask that any more" in gone.text) == (404, True)
    assert user.get(ANSWERS, params={"run": run, "option": "Perhaps"}).status_code == 422
    assert caller(server, None).get(ANSWERS, params={"run": run, "option": "Approve"}).status_code == 403
