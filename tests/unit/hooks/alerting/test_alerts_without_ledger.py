"""What is told without the ledger: with a page to look at, and where it is written what to do."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from understudy.contract.alerts.failed_rollback import FailedRollback
from understudy.hooks.alerting.direct_alerts import ToldDirectly
from understudy.hooks.alerting.ledger_alert import ledger_alert
from understudy.hooks.alerting.rollback_alert import rollback_alert
from understudy.hooks.errors import LedgerDamaged, LedgerUnavailable
from understudy.settings import Settings

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc)
OURS = "https://wiki.example.com/alerts"
DECLARED = (
    "model: price\nowner: me\ntask: regression\nrunbook: https://price.example.com/\n"
    "data: {source: x.csv, time: at, target: y}\ngates: [{metric: rmse, ceiling: 5}]\n"
)


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    (tmp_path / "models" / "price").mkdir(parents=True)
    (tmp_path / "models" / "price" / "model.yaml").write_text(DECLARED)
    return Settings(UNDERSTUDY_HOME=tmp_path, models_dir=tmp_path / "models", alerts_runbooks=OURS)


@pytest.mark.parametrize(
    ("model", "is_refused", "runbook"),
    [
        ("price", False, "https://price.example.com/"),
        ("demand", False, f"{OURS}#rollback-failed"),
        ("demand", True, f"{OURS}#refused"),
    ],
)
def test_a_rollback_that_did_not_happen_names_the_model_s_page_and_what_to_do(
    chosen: Settings, model: str, is_refused: bool, runbook: str
) -> None:
    told = rollback_alert(chosen, FailedRollback(model=model, run="run1", at=NOW, is_refused=is_refused))
    assert (told.model, told.at, told.runbook) == (model, NOW, runbook)
    assert told.page == f"https://airflow.example.com/understudy/models/{model}"


def test_the_same_trouble_with_the_ledger_is_one_alert_and_another_trouble_another(chosen: Settings) -> None:
    away, damaged = LedgerUnavailable("sqlite", "is away", "Look for it."), LedgerDamaged(3, "was changed")
    first = ledger_alert(chosen, away, ToldDirectly(), NOW)
    assert (first.page, first.runbook) == ("https://airflow.example.com/understudy/", f"{OURS}#ledger-unreadable")
    earlier = ToldDirectly(to={"rollback_failed/price/run1": (), first.key: ("hook",)})
    assert ledger_alert(chosen, away, earlier, NOW + timedelta(hours=1)).key == first.key
    other = ledger_alert(chosen, damaged, earlier, NOW + timedelta(hours=1))
    assert other.key not in earlier.to
    assert other.runbook == f"{OURS}#ledger-broken"
