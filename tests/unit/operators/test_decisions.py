"""Who asked, why, and what was decided before."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.words import EntryKind
from understudy.hooks.account import own_account
from understudy.hooks.ledger.ledger import Ledger
from understudy.operators.broken_spec import BrokenDeclaration, BrokenSpecOperator
from understudy.operators.decisions import (
    LOCAL_RUN,
    PROBLEM_KEY,
    accepted_windows,
    actor_of,
    last_sound_window,
    param,
    reason_of,
)
from understudy.operators.errors import PromotionRefused, WindowSetAside
from understudy.operators.problem import telling


def context(run_type: Any = "scheduled", user: str | None = None, **params: Any) -> Any:
    return {"dag_run": SimpleNamespace(run_type=run_type, triggering_user_name=user), "params": params}


def test_a_person_is_named_and_so_is_a_schedule() -> None:
    assert actor_of(context(user="ann")) == "ann"
    assert actor_of(context(user=LOCAL_RUN)) == own_account()
    assert actor_of(context()) == "scheduled"
    assert actor_of(context(run_type=SimpleNamespace(value="asset_triggered"))) == "asset_triggered"
    assert actor_of({"dag_run": SimpleNamespace(run_type="backfill")}) == "backfill"


def test_a_reason_comes_from_the_form_else_from_the_kind_of_run() -> None:
    assert reason_of(context(reason="new tariff")) == "new tariff"
    assert reason_of(context(reason="")) == "scheduled run"
    assert param(context(), "dry_run") is None


def test_only_windows_that_passed_are_history(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert last_sound_window(ledger, "price") is None
    for number, (model, verdict) in enumerate(
        [("price", "passed"), ("price", "failed"), ("demand", "passed"), ("price", "passed"), ("price", "inconclusive")]
    ):
        ledger.append(model, EntryKind.DATA_JUDGED, "ann", "r", facts={"verdict": verdict, "data_version": str(number)})
    assert [entry.facts["data_version"] for entry in accepted_windows(ledger, "price", 8)] == ["3", "0"]
    assert len(accepted_windows(ledger, "price", 1)) == 1
    assert last_sound_window(ledger, "price") == "3"


def test_rows_are_never_added_to_a_window_that_a_rollback_made_suspect(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    for window in ("old", "poisoned"):
        ledger.append("price", EntryKind.DATA_JUDGED, "ann", "r", facts={"verdict": "passed", "data_version": window})
    assert last_sound_window(ledger, "price") == "poisoned"
    denied = {"digest": "d" * 64, "version": 2, "data_version": "poisoned"}
    ledger.append("price", EntryKind.DENIED, "ann", "complaints", facts=denied)
    assert last_sound_window(ledger, "price") == "old"


def test_what_stopped_a_task_is_told_to_the_one_that_concludes() -> None:
    told: dict[str, Any] = {}
    here: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: told.update({key: value}))}
    with pytest.raises(PromotionRefused), telling(here):
        raise PromotionRefused("price", 3, "It is locked.")
    assert told == {PROBLEM_KEY: "Version 3 of 'price' was not promoted: It is locked. The champion stays."}


def test_neither_a_skip_nor_a_bug_is_told() -> None:
    told: dict[str, Any] = {}
    here: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: told.update({key: value}))}
    for error in (WindowSetAside("price", "too few rows", "there"), AirflowSkipException("x"), ZeroDivisionError()):
        with pytest.raises(type(error)), telling(here):
            raise error
    assert told == {}


def test_a_broken_declaration_fails_with_its_sentence() -> None:
    with pytest.raises(
        BrokenDeclaration, match=r"model.yaml:3: task: unknown \(run `understudy check` after the repair\)"
    ):
        BrokenSpecOperator(task_id="broken_spec", problem="model.yaml:3: task: unknown").execute({})
