"""What Prometheus reads of the ledger and the declarations."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Thread

import pytest

from tests.fleet_ledger import look, record, write_fleet
from tests.unit.scrape import Samples, promtool_complaints, samples_of, undeclared, value
from understudy.contract.alerts.alert import Alert
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.words import AlertKind, Change, EntryKind, Outcome, Verdict
from understudy.exporter import measures as m
from understudy.exporter.census import Census
from understudy.exporter.chain import ChainWatch
from understudy.exporter.declarations import Declarations
from understudy.exporter.looks_due import longest_gap_s
from understudy.exporter.observe import Known, observe
from understudy.exporter.serve import MetricsServer
from understudy.hooks.alerting.life import note_sweep
from understudy.hooks.alerting.outbox import Addressed, Outbox
from understudy.hooks.ledger.ledger import Ledger

NAME = "model_0000"
NOW = datetime.now(timezone.utc)
SPEC = """model: {model}
owner: market-ml
task: binary_classification
data: {{source: data/x.csv, time: at, target: up}}
retrain: {{schedule: "0 3 * * 1", max_age: 30d}}
monitor: {{schedule: "*/30 * * * *"}}
gates: [{{metric: roc_auc, floor: 0.75}}]
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    write_fleet(tmp_path / "ledger.db", models=2, entries=14)
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def known(ledger: Ledger, tmp_path: Path) -> Known:
    return Known(Census(ledger), ChainWatch(ledger, 3600), Declarations(tmp_path / "models", 60))


def alert(key: str, at: datetime) -> Alert:
    return Alert(key=key, kind=AlertKind.DRIFT, model=NAME, at=at, sentence="Something moved.")


def declare(known: Known, folder: Path, model: str, text: str = SPEC) -> None:
    path = folder / "models" / model / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(model=model), encoding="utf-8")
    known.declarations.read()


def scraped(known: Known) -> Samples:
    text = observe(known).text()[0].decode()
    assert promtool_complaints(text) == []
    return samples_of(text)


def tell(ledger: Ledger, kind: EntryKind, facts: object = None, model: str = NAME, run: str = "r9") -> float:
    given = facts if isinstance(facts, dict) else {}
    return ledger.append(model, kind, "ann", "because", run, given).at.timestamp()


def test_every_declared_metric_is_shown_and_no_other(ledger: Ledger, known: Known, tmp_path: Path) -> None:
    declare(known, tmp_path, NAME)
    known.chain.verify()
    seen = look(NAME, 2, 1).model_copy(update={"is_due": True})
    results = (seen.decision.judgement.results[0].model_copy(update={"gate": "age"}),)
    judged = seen.decision.judgement.model_copy(update={"results": results})
    seen = seen.model_copy(update={"decision": seen.decision.model_copy(update={"judgement": judged})})
    tell(ledger, EntryKind.TRIGGERED)
    tell(ledger, EntryKind.MONITORED, seen.model_dump(mode="json"))
    tell(ledger, EntryKind.APPROVAL_ASKED)
    rolled_back = record(NAME, 1, 3, change=Change.ROLLBACK).model_dump(mode="json")
    tell(ledger, EntryKind.DEPLOYED, {"epoch": 3, "deployment": rolled_back})
    tell(ledger, EntryKind.DRILLED, {"verdict": "passed"}, model=DRILL_MODEL)
    note_sweep(ledger, NOW)
    Outbox(ledger).put([Addressed(alert=alert("a", NOW), to=("pager",))])
    assert undeclared(scraped(known), m.MEASURES) == set()


def test_how_alerting_is_doing_is_shown(ledger: Ledger, known: Known) -> None:
    before = scraped(known)
    assert value(before, m.ALERTS_WAITING) == 0
    assert not any(name.startswith((m.SWEPT_AT.name, m.ALERTS_OLDEST.name)) for name, _ in before)
    note_sweep(ledger, NOW)
    early = NOW - timedelta(hours=2)
    Outbox(ledger).put([Addressed(alert=alert(one, at), to=("pager",)) for one, at in (("a", early), ("b", NOW))])
    shown = scraped(known)
    assert value(shown, m.SWEPT_AT) == int(NOW.timestamp())
    assert (value(shown, m.ALERTS_WAITING), value(shown, m.ALERTS_OLDEST)) == (2, early.timestamp())


def test_a_champion_counts_from_its_own_record_whatever_is_tried_beside_it(ledger: Ledger, known: Known) -> None:
    since = value(scraped(known), m.CHAMPION_SINCE, NAME)
    mirrored = record(NAME, 2, 3, change=Change.MIRROR_STARTED, champion_since=2, mirror=record(NAME, 3, 3).champion)
    tell(ledger, EntryKind.DEPLOYED, {"epoch": 3, "deployment": mirrored.model_dump(mode="json")})
    for one in (known, known._replace(census=Census(ledger))):
        found = scraped(one)
        assert value(found, m.CHAMPION_SINCE, NAME) == since
        assert (value(found, m.CHAMPION, NAME, "2"), value(found, m.MIRRORED, NAME), value(found, m.EPOCH, NAME)) == (
            1, 1, 3
        )  # fmt: skip


def test_what_was_read_is_not_counted_twice(ledger: Ledger, known: Known) -> None:
    for _ in range(2):
        found = scraped(known)
        assert value(found, m.RETRAININGS, NAME, "promoted") == 2
        assert value(found, m.VERDICTS, NAME, "judged", "passed") == 2
    tell(ledger, EntryKind.CONCLUDED, {"outcome": Outcome.BROKEN.value})
    found = scraped(known)
    assert value(found, m.RETRAININGS, NAME, "promoted") == 2
    assert value(found, m.RETRAININGS, NAME, "broken") == 1
    assert value(found, m.RETRAINING_FAILED, NAME) == 1
    assert value(found, m.RETRAINING_FAILED, "model_0001") == 0


def test_a_retraining_that_is_due_is_told_until_one_begins_and_runs_until_it_ends(ledger: Ledger, known: Known) -> None:
    due = look(NAME, 2, 1, Verdict.FAILED).model_copy(update={"is_due": True})
    at = tell(ledger, EntryKind.MONITORED, due.model_dump(mode="json"))
    found = scraped(known)
    assert value(found, m.RETRAINING_DUE, NAME) == at
    assert [value(found, m.LOOK_VERDICT, NAME, verdict) for verdict in ("passed", "failed", "inconclusive")] == [
        0,
        1,
        0,
    ]
    began = tell(ledger, EntryKind.TRIGGERED)
    found = scraped(known)
    assert value(found, m.RETRAINING_RUNNING, NAME) == began
    assert (m.RETRAINING_DUE.name, frozenset({("model", NAME)})) not in found
    tell(ledger, EntryKind.CONCLUDED, {"outcome": Outcome.DECLINED.value})
    assert (m.RETRAINING_RUNNING.name, frozenset({("model", NAME)})) not in scraped(known)


@pytest.mark.parametrize(("verdict", "stale"), [(Verdict.PASSED, 0), (Verdict.FAILED, 1), (Verdict.INCONCLUSIVE, None)])
def test_an_age_that_nobody_knows_is_no_zero(
    ledger: Ledger, known: Known, verdict: Verdict, stale: float | None
) -> None:
    seen = look(NAME, 2, 1, verdict)
    results = (seen.decision.judgement.results[0].model_copy(update={"gate": "age"}),)
    judgement = seen.decision.judgement.model_copy(update={"results": results})
    decision = seen.decision.model_copy(update={"judgement": judgement})
    facts = seen.model_copy(update={"decision": decision}).model_dump(mode="json")
    tell(ledger, EntryKind.MONITORED, facts)
    assert scraped(known).get((m.STALE.name, frozenset({("model", NAME)}))) == stale


def test_locks_holds_and_questions_last_until_they_are_lifted(ledger: Ledger, known: Known) -> None:
    tell(ledger, EntryKind.LOCKED, {"version": 2})
    tell(ledger, EntryKind.HELD)
    asked = tell(ledger, EntryKind.APPROVAL_ASKED)
    found = scraped(known)
    assert (value(found, m.LOCKED, NAME), value(found, m.HELD, NAME), value(found, m.APPROVAL_SINCE, NAME)) == (
        1, 1, asked
    )  # fmt: skip
    tell(ledger, EntryKind.UNLOCKED, {"version": 2})
    tell(ledger, EntryKind.RELEASED)
    tell(ledger, EntryKind.APPROVAL_ANSWERED)
    found = scraped(known)
    assert (value(found, m.LOCKED, NAME), value(found, m.HELD, NAME)) == (0, 0)
    assert (m.APPROVAL_SINCE.name, frozenset({("model", NAME)})) not in found


def test_a_dead_ledger_is_a_number_and_hides_what_was_known(ledger: Ledger, known: Known, tmp_path: Path) -> None:
    assert value(scraped(known), m.LEDGER_READABLE) == 1
    path = tmp_path / "ledger.db"
    kept = path.read_bytes()
    path.write_bytes(b"rubbish" * 1000)
    found = scraped(known)
    assert value(found, m.LEDGER_READABLE) == 0
    assert not any(name == m.CHAMPION.name for name, _ in found)
    path.write_bytes(kept)
    assert value(scraped(known), m.CHAMPION, NAME, "2") == 1


def test_a_ledger_that_was_changed_is_found_out(ledger: Ledger, known: Known, tmp_path: Path) -> None:
    import sqlite3

    known.chain.verify()
    assert value(scraped(known), m.CHAIN_INTACT) == 1
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        raw.execute("DROP TRIGGER ledger_keeps_rows")
        raw.execute("UPDATE ledger SET reason = 'nothing happened' WHERE seq = 3")
    raw.close()
    known.chain.verify()
    assert value(scraped(known), m.CHAIN_INTACT) == 0


def test_a_declaration_that_is_a_link_to_nowhere_counts_as_broken(known: Known, tmp_path: Path) -> None:
    declare(known, tmp_path, NAME)
    path = tmp_path / "models" / NAME / "model.yaml"
    path.unlink()
    path.symlink_to("gone.yaml")
    known.declarations.read()
    assert known.declarations.terms[NAME].is_broken


def test_a_declaration_is_read_again_when_it_changes(known: Known, tmp_path: Path) -> None:
    declare(known, tmp_path, "fresh")
    found = scraped(known)
    assert value(found, m.LOOK_INTERVAL, "fresh") == 1800
    assert value(found, m.MAX_AGE, "fresh") == 30 * 86_400
    assert value(found, m.SPEC_BROKEN, "fresh") == 0
    declare(known, tmp_path, "fresh", "model: fresh\nowner: nobody knows what follows\n")
    assert value(scraped(known), m.SPEC_BROKEN, "fresh") == 1


def test_a_retraining_may_wait_for_live_traffic_and_people_beside_its_work(known: Known, tmp_path: Path) -> None:
    waits = "serving: {{}}\nshadow: {{deadline: 14d}}\npromotion: {{mode: approval, timeout: 12h}}\n"
    declare(known, tmp_path, "patient", SPEC + waits)
    found = value(scraped(known), m.TIMEOUT, "patient")
    assert timedelta(days=15, hours=12) < timedelta(seconds=found) < timedelta(days=15, hours=13)


@pytest.mark.parametrize(
    ("schedule", "hours"), [("0 * * * *", 1), ("0 6 * * 1-5", 72), ("0 8-18 * * *", 14), ("0 3 1 * *", 31 * 24)]
)
def test_the_longest_gap_of_a_schedule_is_known(schedule: str, hours: int) -> None:
    assert longest_gap_s(schedule) == hours * 3600


@pytest.fixture
def server(known: Known) -> Iterator[MetricsServer]:
    serving = MetricsServer("127.0.0.1", 0, known)
    Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


def test_scrapes_are_answered_over_http(server: MetricsServer, ledger: Ledger) -> None:
    with urllib.request.urlopen(server.url) as answer:
        assert answer.headers["content-type"].startswith("text/plain")
        found = samples_of(answer.read().decode())
    assert value(found, m.LEDGER_ENTRIES) == 28
    tell(ledger, EntryKind.HELD)
    with urllib.request.urlopen(server.url) as answer:
        assert value(samples_of(answer.read().decode()), m.LEDGER_ENTRIES) == 29
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(server.url.replace("/metrics", "/"))
