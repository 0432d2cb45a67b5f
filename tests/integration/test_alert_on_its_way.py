"""An entry of a real ledger is changed; by way of exporter, Prometheus and Alertmanager a person hears it."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.fleet_ledger import write_fleet
from tests.integration.alertmanager_process import alertmanager, wait
from tests.unit.hooks.alerting.receivers import web_receiver
from tests.unit.monitoring.alertmanager import needs_alertmanager
from understudy.exporter.census import Census
from understudy.exporter.chain import ChainWatch
from understudy.exporter.declarations import Declarations
from understudy.exporter.observe import Known
from understudy.exporter.serve import MetricsServer
from understudy.hooks.ledger.ledger import Ledger
from understudy.settings import PROJECT

SHIPPED = PROJECT / "include" / "monitoring" / "prometheus" / "prometheus.yml"
PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    needs_alertmanager,
    pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus is not installed; Debian has it in `prometheus`"),
]
NOBODY = "127.0.0.1:9"
EVERY = {"scrape_interval": "1s", "scrape_timeout": "1s"}


@contextmanager
def exporter_of_a_changed_ledger(folder: Path) -> Iterator[str]:
    """Show what the exporter shows where somebody has changed the first entry behind everybody's back."""
    write_fleet(folder / "ledger.db", models=1, entries=14)
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        connection.execute("DROP TRIGGER ledger_keeps_rows")
        connection.execute("UPDATE ledger SET reason = 'never happened' WHERE seq = 1")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    known = Known(Census(ledger), ChainWatch(ledger, 3600), Declarations(folder / "models", 60))
    known.chain.verify()
    server = MetricsServer("127.0.0.1", 0, known)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.url.removeprefix("http://").removesuffix("/metrics")
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def prometheus(folder: Path, **addresses: str) -> Iterator[None]:
    """Run it with the rules as they are and the configuration in all but addresses and intervals."""
    config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    config["global"] = {**config["global"], **EVERY, "evaluation_interval": "1s"}
    config["rule_files"] = [str(SHIPPED.parent / pattern) for pattern in config["rule_files"]]
    for job in config["scrape_configs"]:
        job.update(EVERY)
    for one in (*config["scrape_configs"], *config["alerting"]["alertmanagers"]):
        for group in one["static_configs"]:
            group["targets"] = [addresses[target.partition(":")[0]] for target in group["targets"]]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    served = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'numbers'}"]
    # What fires at once goes nowhere, as it takes seconds to find Alertmanager, and is said again after this.
    served += ["--web.listen-address=127.0.0.1:0", "--rules.alert.resend-delay=1s"]
    with (
        open(folder / "prometheus.log", "wb") as log,
        subprocess.Popen([str(PROMETHEUS), *served], stdout=log, stderr=log) as server,
    ):
        try:
            yield
        finally:
            server.kill()


def test_a_changed_entry_of_the_ledger_reaches_who_is_on_call(tmp_path: Path) -> None:
    with web_receiver() as web, exporter_of_a_changed_ledger(tmp_path) as exporter:
        told_to = {
            "ALERTMANAGER_SLACK_URL": f"{web.url}/slack",
            "ALERTMANAGER_WEBHOOK_URL": f"{web.url}/hook",
            "ALERTMANAGER_PAGERDUTY_KEY": "0123456789",
            "ALERTMANAGER_PAGERDUTY_URL": f"{web.url}/pager",
            "ALERTMANAGER_HEARTBEAT_URL": f"{web.url}/life",
        }
        addresses = {"exporter": exporter, "gateway": NOBODY}
        with (
            alertmanager(tmp_path, **told_to) as client,
            prometheus(tmp_path, alertmanager=client.base_url.netloc.decode(), **addresses),
        ):
            wait(lambda: {"/slack", "/hook", "/pager", "/life"} <= set(web.paths))
    told = dict(zip(web.paths, web.taken, strict=True))
    assert told["/life"]["commonLabels"]["alertname"] == "AlertingWorks"
    assert told["/pager"]["payload"]["summary"] == "[critical] LedgerBroken"
    (shown,) = told["/slack"]["attachments"]
    assert shown["title"] == "[critical] LedgerBroken"
    assert "#ledger-broken" in shown["text"]
    text = told["/pager"]["payload"]["custom_details"]["text"]
    assert "An entry of the ledger was changed or removed." in text
    assert f"At {exporter}. " in text
    assert "What to do: http://localhost:8080/understudy/runbooks#ledger-broken" in text
    (alert,) = told["/hook"]["alerts"]
    assert alert["labels"] == {
        "alertname": "LedgerBroken",
        "instance": exporter,
        "job": "understudy-exporter",
        "severity": "critical",
    }
    assert alert["annotations"]["runbook"] == "docs/runbooks.md#ledger-broken"
