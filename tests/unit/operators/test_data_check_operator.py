"""What becomes of a window that was checked."""

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tests.unit.operators.price import DIGEST, artefact, context, declare, entries
from understudy.contract.reports import DataReport, Finding
from understudy.contract.stage import StageResult, artefact_of
from understudy.contract.words import EntryKind
from understudy.hooks.data.sources import SourceNotFound
from understudy.operators import (
    DataSanityCheckOperator,
)
from understudy.operators.decisions import REFUSAL_KEY
from understudy.operators.errors import (
    WindowRefused,
    WindowSetAside,
)
from understudy.operators.handover import CheckedData, Snapshot
from understudy.operators.run_context import run_folder

pytestmark = pytest.mark.usefixtures("price_home")


def checked(*, failed: bool, skip: bool = True, run: Any = None, version: str = DIGEST) -> dict[str, Any]:
    run = run or context()
    snapshot = Snapshot(data=artefact("price/data.parquet"), data_version=version, rows=100, start=None, end=None)
    operator = DataSanityCheckOperator(
        task_id="check", model="price", snapshot=snapshot.model_dump(mode="json"), skip_on_refusal=skip
    )
    folder = run_folder(run, "price")
    folder.outputs("check").mkdir(parents=True, exist_ok=True)
    (folder.outputs("check") / "bad.parquet").write_bytes(b"bad rows")
    finding = Finding(
        check="range",
        column="wind",
        measured=0.5,
        bound="0",
        failed=failed,
        batch_level=True,
        sentence="wind is poisoned",
    )
    report = DataReport(
        rows=100,
        rows_checked=100,
        bad_rows=0,
        max_bad_share=0.01,
        findings=(finding,),
        profile={},
        label_shares={"0": 0.4, "1": 0.6},
    )
    outputs = {
        "data": artefact("data.parquet"),
        "profile": artefact("profile.json"),
        "quarantine": artefact("bad.parquet"),
    }
    return operator.conclude(
        run, StageResult(stage="data_check", report=report.model_dump(mode="json"), outputs=outputs), folder
    )


def test_a_reference_file_that_is_not_there_is_named_by_its_own_field(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("up\n", encoding="utf-8")
    files = [str(tmp_path / "known.csv"), "/nowhere/y.csv"]
    declare(checks={"references": [{"column": "up", "file": file, "known": "up"} for file in files]})
    window = tmp_path / "workspace" / "price" / "data.parquet"
    window.parent.mkdir(parents=True, exist_ok=True)
    window.write_bytes(b"rows")
    snapshot = Snapshot(
        data=artefact_of(window, tmp_path / "workspace"), data_version=DIGEST, rows=1, start=None, end=None
    )
    operator = DataSanityCheckOperator(task_id="check", model="price", snapshot=snapshot.model_dump(mode="json"))
    run = context()
    with pytest.raises(SourceNotFound, match=r"^checks\.references\[1\]\.file '/nowhere/y\.csv' matches no file"):
        operator.build_request(run, operator.declared(), run_folder(run, "price"))


def test_a_good_window_is_handed_over_and_remembered() -> None:
    handed = CheckedData.model_validate(checked(failed=False))
    assert handed.data.path.endswith("/check/data.parquet")
    assert handed.data_version == DIGEST
    [judged] = entries(EntryKind.DATA_JUDGED)
    assert (judged.facts["verdict"], judged.facts["classes"], judged.facts["rows"]) == ("passed", ["0", "1"], 100)


def test_a_bad_window_is_set_aside_with_its_evidence_before_the_task_ends() -> None:
    pushed: dict[str, Any] = {}
    with pytest.raises(WindowSetAside, match="wind is poisoned"):
        checked(failed=True, run=context(pushed))
    assert pushed == {REFUSAL_KEY: "wind is poisoned"}
    [quarantined] = entries(EntryKind.QUARANTINED)
    evidence = Path(str(quarantined.facts["evidence"]))
    assert {path.name for path in evidence.iterdir()} == {"report.json", "bad.parquet"}
    assert json.loads((evidence / "report.json").read_text(encoding="utf-8"))["findings"][0]["column"] == "wind"
    assert [entry.facts["verdict"] for entry in entries(EntryKind.DATA_JUDGED)] == ["failed"]


def test_a_refusal_skips_what_a_later_task_concludes_and_else_fails() -> None:
    assert issubclass(WindowSetAside, AirflowSkipException)
    with pytest.raises(WindowRefused) as refused:
        checked(failed=True, skip=False)
    assert isinstance(refused.value, AirflowFailException)


def test_a_repaired_window_of_the_same_run_is_judged_anew() -> None:
    with pytest.raises(WindowSetAside):
        checked(failed=True)
    checked(failed=False, version="e" * 64)
    checked(failed=False, version="e" * 64)
    assert [entry.facts["verdict"] for entry in entries(EntryKind.DATA_JUDGED)] == ["failed", "passed"]


def test_rows_without_a_time_are_checked_beside_the_window(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    files = {}
    for name in ("data", "undated"):
        files[name] = root / "price" / f"{name}.parquet"
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_bytes(name.encode())
    declare()
    for undated in (None, artefact_of(files["undated"], root)):
        snapshot = Snapshot(
            data=artefact_of(files["data"], root), data_version=DIGEST, rows=1, start=None, end=None, undated=undated
        )
        operator = DataSanityCheckOperator(task_id="check", model="price", snapshot=snapshot.model_dump(mode="json"))
        _, inputs = operator.build_request(context(), operator.declared(), run_folder(context(), "price"))
        assert inputs.get("undated.parquet") == (files["undated"] if undated else None)
