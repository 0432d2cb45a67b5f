import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event, text

from understudy.contract.release import GENESIS
from understudy.contract.words import EntryKind
from understudy.hooks.errors import LedgerDamaged, LedgerUnavailable
from understudy.hooks.ledger import pen as ledger_pen
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.tally import Tally, Told, newest_seq


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}")


def write(ledger: Ledger, count: int, model: str = "demand") -> None:
    for number in range(count):
        facts = {"version": number, "auc": 0.8}
        ledger.append(model, EntryKind.JUDGED, "ann", f"judgement {number}", f"run{number}", facts)


def tamper(ledger: Ledger, statement: str) -> None:
    with sqlite3.connect(str(ledger.url.database)) as raw:
        raw.execute("DROP TRIGGER IF EXISTS ledger_keeps_rows")
        raw.execute("DROP TRIGGER IF EXISTS ledger_loses_none")
        raw.execute(statement)
    raw.close()


def test_reading_creates_nothing(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.entries() == []
    assert ledger.verify().ok
    assert not (tmp_path / "home").exists()


def test_each_entry_names_the_one_before(ledger: Ledger) -> None:
    write(ledger, 3)
    first, second, third = ledger.entries()
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]
    assert [first.prev_hash, second.prev_hash, third.prev_hash] == [GENESIS, first.hash, second.hash]
    assert third.hash == third.expected_hash()
    assert ledger.verify().checked == 3


def test_what_was_written_is_read_back(ledger: Ledger) -> None:
    facts = {"nan": float("nan"), "big": 2**80, "float": 0.1 + 0.2, "small": 5e-324, "text": "ü\n'\";--", "none": None}
    written = ledger.append("demand", EntryKind.TRIGGERED, "ann", "why", "run", facts)
    assert ledger.entries() == [written]
    assert written.facts == {**facts, "nan": None}


def test_a_password_is_neither_in_facts_nor_in_the_reason(ledger: Ledger) -> None:
    ledger.append(
        "demand", EntryKind.TRIGGERED, "ann", "read postgresql://u:s3cret@db/x", facts={"u": "ftp://u:s3cret@h"}
    )
    assert b"s3cret" not in Path(str(ledger.url.database)).read_bytes()


def test_a_retried_task_does_not_write_twice(ledger: Ledger) -> None:
    first = ledger.append_once("demand/run/judged", "demand", EntryKind.JUDGED, "ann", "yes", "run", {"auc": 0.8})
    again = ledger.append_once("demand/run/judged", "demand", EntryKind.JUDGED, "bob", "no", "run", {"auc": 0.1})
    assert again == first
    assert ledger.entries() == [first]
    assert ledger.keyed([*(f"demand/run/{number}" for number in range(1000)), "demand/run/judged"]) == [first]
    assert ledger.keyed(["demand/run/judged", *(f"demand/run/{number}" for number in range(1000))]) == [first]


def test_entries_are_found_by_model_kind_and_run(ledger: Ledger) -> None:
    write(ledger, 3)
    ledger.append("prices", EntryKind.JUDGED, "ann", "other model", "run1")
    ledger.append("demand", EntryKind.TRAINED, "bob", "other kind", "run1")
    assert [e.seq for e in ledger.entries("demand")] == [1, 2, 3, 5]
    assert [e.seq for e in ledger.entries("demand", [EntryKind.JUDGED], newest_first=True, limit=2)] == [3, 2]
    assert [e.seq for e in ledger.entries(run="run1")] == [2, 4, 5]
    assert [e.seq for e in ledger.entries(actor="bob")] == [5]
    assert [e.seq for e in ledger.entries(after=2, before=5)] == [3, 4]
    assert [e.seq for e in ledger.newest(EntryKind.JUDGED)] == [3, 4]
    assert [e.seq for e in ledger.newest(EntryKind.JUDGED, EntryKind.TRAINED, after=4)] == [5]
    assert ledger.entries(kinds=[]) == []


@pytest.mark.parametrize("statement", ["UPDATE ledger SET reason = 'x'", "DELETE FROM ledger"])
def test_the_database_itself_refuses_to_change_an_entry(ledger: Ledger, statement: str) -> None:
    write(ledger, 2)
    with pytest.raises(LedgerUnavailable, match="append-only"), ledger.writing() as pen:
        pen.connection.execute(text(statement))
    assert ledger.verify().checked == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "'2020-01-01T00:00:00Z'"),
        ("at", "replace(at, 'Z', '+00:00')"),
        ("model", "'prices'"),
        ("kind", "'trained'"),
        ("kind", "'nonsense'"),
        ("actor", "'eve'"),
        ("reason", "reason || ' '"),
        ("run", "NULL"),
        ("facts", "replace(facts, '0.8', '0.9')"),
        ("facts", "facts || ' '"),
        ("facts", "'{'"),
        ("facts", "'{\"gain\":NaN}'"),
        ("once_key", "'k'"),
        ("prev_hash", "upper(prev_hash)"),
        ("hash", "replace(hash, substr(hash, 1, 1), 'x')"),
    ],
)
def test_every_changed_value_is_detected(ledger: Ledger, column: str, value: str) -> None:
    write(ledger, 5)
    tamper(ledger, f"UPDATE ledger SET {column} = {value} WHERE seq = 3")
    found = ledger.verify()
    assert (found.ok, found.first_broken_seq) == (False, 3)
    assert "Entry 3" in found.sentence


@pytest.mark.parametrize(
    ("facts", "told"), [('{"version": 7}', "was changed"), ("{", "cannot be read")], ids=["changed", "unreadable"]
)
def test_a_changed_entry_is_not_read_as_if_it_were_true(ledger: Ledger, facts: str, told: str) -> None:
    write(ledger, 3)
    tamper(ledger, f"UPDATE ledger SET facts = '{facts}' WHERE seq = 2")
    with pytest.raises(LedgerDamaged, match=rf"entry 2 {told}.*restore"):
        ledger.entries("demand")


def test_no_connection_outlives_a_call(ledger: Ledger) -> None:
    """A forked task would share it with the process that it was forked from."""
    is_open: set[int] = set()
    event.listen(ledger._engine, "connect", lambda connection, _: is_open.add(id(connection)))
    event.listen(ledger._engine, "close", lambda connection, _: is_open.remove(id(connection)))
    write(ledger, 1)
    assert len(ledger.entries()) == 1
    assert is_open == set()


def test_a_removed_entry_is_detected(ledger: Ledger) -> None:
    write(ledger, 4)
    tamper(ledger, "DELETE FROM ledger WHERE seq = 2")
    found = ledger.verify()
    assert found.first_broken_seq == 3
    assert found.sentence == (
        "Entry 3 follows entry 1, so what lay between is gone; the 1 entries before it are intact."
    )


def test_a_rewritten_entry_with_a_matching_hash_breaks_the_chain(ledger: Ledger) -> None:
    write(ledger, 3)
    forged = ledger.entries()[1].model_copy(update={"actor": "eve"})
    tamper(ledger, f"UPDATE ledger SET actor = 'eve', hash = '{forged.expected_hash()}' WHERE seq = 2")
    assert ledger.verify().first_broken_seq == 3


def test_a_clock_that_is_set_back_does_not_reorder_the_past(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    class SetBack(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2020, 1, 1, tzinfo=timezone.utc)

    first = ledger.append("demand", EntryKind.JUDGED, "ann", "now")
    monkeypatch.setattr(ledger_pen, "datetime", SetBack)
    assert ledger.append("demand", EntryKind.JUDGED, "ann", "later").at == first.at


def test_a_writer_has_the_ledger_to_itself_from_the_start_and_a_reader_holds_nobody_up(ledger: Ledger) -> None:
    write(ledger, 1)
    with closing(sqlite3.connect(str(ledger.url.database), timeout=0, isolation_level=None)) as other:
        with ledger.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with ledger.reading() as connection:
            assert connection is not None
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3, "an entry survives a power cut"
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")


def test_a_failed_transaction_leaves_nothing(ledger: Ledger) -> None:
    write(ledger, 1)

    def deny_and_fail() -> None:
        with ledger.writing() as pen:
            pen.append("demand", EntryKind.DENIED, "ann", "half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deny_and_fail()
    assert ledger.verify().checked == 1


def test_why_tells_the_story_of_a_version(ledger: Ledger) -> None:
    def bundle(version: int) -> dict[str, object]:
        return {"version": version, "run": f"r{version}"}

    for version in (1, 2):
        ledger.append("demand", EntryKind.TRIGGERED, "cron", "schedule", f"r{version}")
        ledger.append("demand", EntryKind.TRAINED, "cron", "trained", f"r{version}", {"version": version})
        ledger.append("demand", EntryKind.BLESSED, "cron", "passed", f"r{version}", {"challenger": bundle(version)})
    ledger.append("prices", EntryKind.TRIGGERED, "cron", "another model", "r1")
    ledger.append("demand", EntryKind.DENIED, "ann", "bad", "rollback", {"version": 1, "digest": "x"})
    ledger.append("demand", EntryKind.CONCLUDED, "ann", "done", "rollback")
    assert [(e.kind.value, e.run) for e in ledger.why("demand", 1)] == [
        ("triggered", "r1"),
        ("trained", "r1"),
        ("blessed", "r1"),
        ("denied", "rollback"),
    ]
    assert ledger.why("demand", 9) == []


@pytest.mark.parametrize(
    ("facts", "is_about"),
    [
        ({"version": 1}, True),
        ({"challenger_version": 1}, True),
        ({"champion_version": 1}, True),
        ({"report": {"sides": [{"rows": 3}, {"version": 1}]}}, True),
        ({"version": 2, "epoch": 1, "rows": [1]}, False),
    ],
)
def test_an_entry_is_about_the_versions_that_it_names_however_deep(
    ledger: Ledger, facts: dict[str, object], is_about: bool
) -> None:
    written = ledger.append("demand", EntryKind.JUDGED, "ann", "yes", "r5", facts)
    assert ledger.why("demand", 1) == ([written] if is_about else [])


def test_a_version_that_was_never_blessed_has_the_story_of_its_run(ledger: Ledger) -> None:
    story = [
        ledger.append("demand", kind, "cron", "weekly", "r1", {"version": 1} if kind is EntryKind.TRAINED else {})
        for kind in (EntryKind.TRIGGERED, EntryKind.TRAINED, EntryKind.CONCLUDED)
    ]
    by_hand = ledger.append("demand", EntryKind.TRAINED, "ann", "registered by hand", None, {"version": 1})
    ledger.append("demand", EntryKind.HELD, "ann", "of no run")
    assert ledger.why("demand", 1) == [*story, by_hand]


def test_the_run_that_trained_a_version_belongs_to_its_story_wherever_it_is_named(ledger: Ledger) -> None:
    for run in ("r1", "r2"):
        ledger.append("demand", EntryKind.TRIGGERED, "cron", "schedule", run)
    bundles = [{"version": 1, "run": "r1"}, {"version": 2, "run": "r2"}, {"version": 3}]
    ledger.append("demand", EntryKind.DEPLOYED, "ann", "weekly", "r9", {"deployment": {"beside": bundles}})
    assert [entry.run for entry in ledger.why("demand", 1)] == ["r1", "r9"]


def test_a_ledger_is_taken_over_as_it_is_and_only_by_one_without_entries(ledger: Ledger, tmp_path: Path) -> None:
    write(ledger, 3)
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    other.adopt(ledger.rows())
    assert other.entries() == ledger.entries()
    assert other.verify().checked == 3
    with pytest.raises(LedgerUnavailable, match=r"holds entries.*Restore into a new one"):
        other.adopt(ledger.rows())
    assert other.verify().checked == 3


def test_a_file_without_a_table_holds_no_entry(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert (ledger.entries(), ledger.newest(EntryKind.JUDGED), ledger.keyed(["k"]), list(ledger.rows())) == ([],) * 4
    write(ledger, 1)
    assert ledger.verify().checked == 1


def test_a_folder_that_cannot_be_made_is_said_with_the_ledger_s_name(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(LedgerUnavailable, match=r"The ledger sqlite:///.*ledger\.db does not answer"):
        write(Ledger(f"sqlite:///{tmp_path / 'home' / 'deep' / 'ledger.db'}"), 1)


def test_its_folder_is_made_however_deep(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'a' / 'b' / 'ledger.db'}")
    write(ledger, 1)
    assert ledger.verify().checked == 1


def test_facts_are_counted_once_by_model_kind_and_value(ledger: Ledger) -> None:
    for verdict in ("passed", "failed", "passed"):
        ledger.append("demand", EntryKind.JUDGED, "ann", "yes", facts={"judgement": {"verdict": verdict}})
    ledger.append("prices", EntryKind.JUDGED, "ann", "yes", facts={"judgement": {"verdict": "passed"}})
    ledger.append("demand", EntryKind.DRILLED, "ann", "also asked", facts={"judgement": {"verdict": "passed"}})
    ledger.append("demand", EntryKind.TRAINED, "ann", "not asked", facts={"judgement": {"verdict": "passed"}})
    ledger.append("demand", EntryKind.JUDGED, "ann", "says nothing of it", facts={"judgement": {}})
    tally = Tally(ledger, [EntryKind.JUDGED, EntryKind.DRILLED], "judgement.verdict")
    passed, failed = (Told("demand", EntryKind.JUDGED, verdict) for verdict in ("passed", "failed"))
    tally.catch_up(2)
    assert tally.counts == {passed: 1, failed: 1}
    others = (Told("prices", EntryKind.JUDGED, "passed"), Told("demand", EntryKind.DRILLED, "passed"))
    for until in (newest_seq(ledger), newest_seq(ledger), 2, newest_seq(ledger)):
        tally.catch_up(until)
        assert tally.counts == {passed: 2, failed: 1, **dict.fromkeys(others, 1)}


def test_of_a_ledger_that_was_never_written_nothing_is_counted(ledger: Ledger) -> None:
    tally = Tally(ledger, [EntryKind.JUDGED], "verdict")
    for _ in range(2):
        tally.catch_up(1)
        assert (newest_seq(ledger), tally.counts) == (0, {})
        with ledger.writing():
            pass  # which makes the table


def test_a_moment_needs_a_time_zone(ledger: Ledger) -> None:
    assert ledger.champion_at("demand", datetime.now(timezone.utc) - timedelta(days=1)) is None
    with pytest.raises(ValueError, match="time zone"):
        ledger.champion_at("demand", datetime(2026, 1, 1))  # noqa: DTZ001 - the very mistake


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no database" * 100, r"is not a database; nothing was changed\. Restore it from its last backup"),
        (None, r"cannot be opened; nothing was changed\. Check that its folder exists"),
    ],
    ids=["no database", "a folder"],
)
def test_an_unusable_file_is_said_in_one_sentence(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "ledger.db"
    path.mkdir() if content is None else path.write_bytes(content)
    for act in (
        lambda: Ledger(f"sqlite:///{path}").entries(),
        lambda: Ledger(f"sqlite:///{path}").append("demand", EntryKind.JUDGED, "ann", "x"),
    ):
        with pytest.raises(LedgerUnavailable, match=rf"The ledger sqlite:///.*ledger\.db {told}"):
            act()
