"""The ledger on a real PostgreSQL server, started for this test on a Unix socket."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.unit.hooks.alerting.receivers import web_receiver
from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Change, EntryKind, Outcome
from understudy.hooks.alerting.alerts import Alerts
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import EpochConflict, LedgerUnavailable
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.ledger.tally import Tally, newest_seq
from understudy.settings import Settings

REFUSED = {"outcome": Outcome.DATA_REFUSED.value}


@pytest.fixture
def ledger(postgres: str, request: pytest.FixtureRequest) -> Ledger:
    """Give each test a database of its own."""
    name = f"t{abs(hash(request.node.name))}"
    with create_engine(postgres, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return Ledger(postgres.replace("/postgres?", f"/{name}?"))


def bundle(version: int) -> Bundle:
    return Bundle(
        model="demand",
        version=version,
        model_sha256=str(version),
        image_digest="i",
        code_commit="c",
        spec_sha256="s",
        data_version="d",
        run="r",
        reference_data="d",
    )


def test_what_was_written_is_read_back_and_verifies(ledger: Ledger) -> None:
    assert ledger.entries() == []
    facts = {"nan": float("nan"), "f": 0.1 + 0.2, "b": 2**80}
    written = ledger.append("demand", EntryKind.JUDGED, "ann", "ü\x00 '--", "run", facts)
    once = [ledger.append_once("k", "demand", EntryKind.TRAINED, actor, "x") for actor in ("ann", "bob")]
    assert once[0] == once[1]
    assert ledger.entries("demand", [EntryKind.JUDGED]) == [written]
    assert ledger.verify().checked == 2


@pytest.mark.parametrize("statement", ["UPDATE ledger SET reason = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"])
def test_the_database_itself_refuses_to_change_an_entry(ledger: Ledger, statement: str) -> None:
    ledger.append("demand", EntryKind.JUDGED, "ann", "x")
    with pytest.raises(LedgerUnavailable, match="append-only"), ledger.writing() as pen:
        pen.connection.execute(text(statement))
    assert ledger.verify().checked == 1


def test_a_changed_value_is_detected(ledger: Ledger) -> None:
    for number in range(3):
        ledger.append("demand", EntryKind.JUDGED, "ann", "x", facts={"auc": number})
    with create_engine(ledger.url, poolclass=NullPool).begin() as connection:
        connection.execute(text("ALTER TABLE ledger DISABLE TRIGGER ALL"))
        connection.execute(text("UPDATE ledger SET facts = replace(facts, '1', '9') WHERE seq = 2"))
    assert ledger.verify().first_broken_seq == 2


def test_first_users_and_writers_at_once_lose_nothing(ledger: Ledger) -> None:
    def deploy(version: int) -> None:
        deployments = Deployments(Ledger(ledger.url.render_as_string(hide_password=False)))
        while True:
            serving = deployments.current("demand")
            epoch = serving.epoch if serving else 0
            record = Deployment(
                model="demand", epoch=epoch + 1, change=Change.PROMOTION, champion=bundle(version), previous=None
            )
            try:
                deployments.deploy(record, epoch, By(actor="ann", reason="mine"))
            except EpochConflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(deploy, range(1, 41)))
    history = Deployments(ledger).history("demand")
    assert [served.deployment.epoch for served in history] == list(range(1, 41))
    assert {served.deployment.champion.version for served in history} == set(range(1, 41))
    assert ledger.verify().checked == 40


def test_a_server_that_is_down_is_said_without_the_password(postgres: str) -> None:
    with pytest.raises(LedgerUnavailable, match="server runs") as told:
        Ledger(postgres.split("?", maxsplit=1)[0] + "?host=/nowhere").append("demand", EntryKind.JUDGED, "ann", "x")
    assert "s3cret" not in str(told.value)


def test_alerts_are_put_claimed_and_noted_once_by_many_sweepers(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_receiver() as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", f'{{"conn_type": "http", "host": "{receiver.url}"}}')
        chosen = Settings(UNDERSTUDY_HOME=tmp_path, models_dir=tmp_path / "models", alerts_to="hook")
        for number in range(4):
            ledger.append("demand", EntryKind.CONCLUDED, "ann", "too few rows", f"run{number}", REFUSED)
        with ThreadPoolExecutor(3) as pool:
            told = list(
                pool.map(
                    lambda _: Alerts(Ledger(ledger.url.render_as_string(hide_password=False)), chosen).tell(), range(3)
                )
            )
        assert sum(one.found for one in told) == sum(one.sent for one in told) == 4
        assert len({message["key"] for message in receiver.taken}) == len(receiver.taken) == 4
    assert ledger.verify().checked == 4


def test_nested_facts_are_counted_by_the_database(ledger: Ledger) -> None:
    tally = Tally(ledger, [EntryKind.CONCLUDED], "end.outcome")
    for outcome in ("promoted", "declined", "promoted"):
        ledger.append("demand", EntryKind.CONCLUDED, "ann", "it ended", facts={"end": {"outcome": outcome}})
        tally.catch_up(newest_seq(ledger))
    ledger.append("demand", EntryKind.CONCLUDED, "ann", "without an outcome")
    tally.catch_up(newest_seq(ledger))
    assert {told.value: count for told, count in tally.counts.items()} == {"promoted": 2, "declined": 1}
