"""What the operators of the loop decide and record, with the ledger real and the registry stood in for."""

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from understudy.contract.declared import parse_duration
from understudy.contract.judgement import Judgement
from understudy.contract.release import Blessing, Bundle, Deployment, LedgerEntry
from understudy.contract.reports import Comparison, DataReport, EvaluationReport, Finding
from understudy.contract.stage import Artefact, StageResult, artefact_of
from understudy.contract.words import Change, EntryKind, Verdict
from understudy.hooks.connect import connect
from understudy.hooks.sources import SourceNotFound
from understudy.operators import (
    AskTrialsOperator,
    DataSanityCheckOperator,
    EvaluateVsChampionOperator,
    PromoteOperator,
    RollbackOperator,
    SnapshotDataOperator,
)
from understudy.operators.decisions import HELD_KEY, REFUSAL_KEY
from understudy.operators.errors import (
    GatewaysMissing,
    PromotionHeld,
    PromotionRefused,
    RollbackRefused,
    WindowRefused,
    WindowSetAside,
)
from understudy.operators.handover import CheckedData, Evaluated, Snapshot, Trained
from understudy.operators.run_context import run_folder
from understudy.operators.tidy import remove_old_runs, runners_of
from understudy.operators.trial import search_space_digest, trial_reports
from understudy.runners.errors import RunnerError
from understudy.settings import settings

DUE = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
DIGEST = "d" * 64


class Registry:
    """Stand in for MLflow, which takes whatever it is given."""

    def attach(self, bundle: Bundle, files: dict[str, Path]) -> None: ...

    def keep(self, bundle: Bundle) -> None: ...

    def follow(self, deployment: Deployment) -> dict[str, int]:
        return {}

    def forget_all_but(self, kept: Deployment) -> None: ...


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("understudy.hooks.registry.Registry", lambda *_, **__: Registry())
    settings.cache_clear()
    declare()
    yield tmp_path
    settings.cache_clear()


def declare(**sections: Any) -> None:
    spec = {
        "model": "price", "owner": "market-ml", "task": "binary_classification",
        "data": {"source": "/nowhere/x.csv", "target": "up", "time": "at"},
        "evaluate": {"must_beat": []}, "gates": [{"metric": "roc_auc", "floor": 0.7}], **sections,
    }  # fmt: skip
    path = settings().models_dir / "price" / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")


def context(pushed: dict[str, Any] | None = None, run_id: str = "manual__1", **params: Any) -> Any:
    told = {} if pushed is None else pushed
    ti = SimpleNamespace(xcom_push=lambda key, value: told.update({key: value}))
    run = SimpleNamespace(run_type="manual", triggering_user_name="ann", run_after=DUE)
    return {
        "ti": ti,
        "run_id": run_id,
        "dag_run": run,
        "params": params,
        "dag": SimpleNamespace(dag_id="retrain__price"),
    }


def entries(kind: EntryKind) -> list[LedgerEntry]:
    return connect().ledger.entries("price", [kind])


def bundle(version: int = 7) -> Bundle:
    return Bundle(
        model="price", version=version, model_sha256=f"{version:064}", image_digest="i", code_commit="c",
        spec_sha256="s", data_version=DIGEST, run="r", reference_data=DIGEST,
    )  # fmt: skip


def artefact(path: str) -> Artefact:
    return Artefact(path=path, sha256=DIGEST, size_bytes=1)


def serve(version: int, epoch: int) -> Deployment:
    record = Deployment(model="price", epoch=epoch, change=Change.PROMOTION, champion=bundle(version), previous=None)
    connect().deployments.deploy(record, epoch - 1, "ann", "test")
    return record


# Snapshot.


def asked(run: Any, operator: SnapshotDataOperator) -> dict[str, Any]:
    folder = run_folder(run, "price")
    request, _ = operator.build_request(run, operator.declared(), folder)
    return dict(request.params)


def test_the_window_ends_where_labels_are_final(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("up\n", encoding="utf-8")
    source = {"source": str(tmp_path / "x.csv"), "target": "up", "time": "at"}
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    declare(data=source)
    assert (asked(context(), snapshot)["start"], asked(context(), snapshot)["end"]) == (
        None,
        "2026-03-01T12:00:00+00:00",
    )
    declare(data={**source, "window": "30d", "label_delay": "12h"})
    params = asked(context(as_of="2026-02-01T00:00:00+02:00"), snapshot)
    assert (params["start"], params["end"]) == ("2026-01-01T10:00:00+00:00", "2026-01-31T10:00:00+00:00")
    assert params["sources"] == {"source-0.csv": "x.csv"}


def test_a_source_that_is_not_there_is_a_refusal_that_may_be_tried_again() -> None:
    pushed: dict[str, Any] = {}
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    with pytest.raises(SourceNotFound) as absent:
        asked(context(pushed), snapshot)
    assert not isinstance(absent.value, AirflowFailException)
    assert "/nowhere/x.csv" in pushed[REFUSAL_KEY]
    assert [entry.actor for entry in entries(EntryKind.TRIGGERED)] == ["ann"]


def test_a_served_model_without_a_gateway_fails_before_it_is_trained() -> None:
    declare(serving={})
    operator = SnapshotDataOperator(task_id="snapshot", model="price")
    with pytest.raises(GatewaysMissing, match="no gateway is known here"):
        operator.build_request(context(), operator.declared(), run_folder(context(), "price"))
    dry = context(run_id="manual__2", dry_run=True)
    with pytest.raises(SourceNotFound):  # a dry run goes on: it promotes nothing
        operator.build_request(dry, operator.declared(), run_folder(dry, "price"))


def test_a_retry_is_not_a_second_trigger() -> None:
    for _ in range(2):
        with pytest.raises(SourceNotFound):
            asked(context(reason="new tariff"), SnapshotDataOperator(task_id="snapshot", model="price"))
    assert [entry.reason for entry in entries(EntryKind.TRIGGERED)] == ["new tariff"]


def test_only_sources_on_a_network_get_one() -> None:
    snapshot = SnapshotDataOperator(task_id="snapshot", model="price")
    for source, reaches_out in (("x.csv", False), ("https://a.example/x.csv", True), ("file:///x.csv", False)):
        declare(data={"source": source, "target": "up"}, split={"method": "random"})
        assert snapshot.reaches_out(snapshot.declared()) is reaches_out


def test_a_database_s_address_goes_to_standard_input_and_not_into_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MARKET", "postgres://ann:open-sesame@db/market")
    declare(data={"query": "SELECT 1", "connection": "market", "target": "up", "time": "at"})
    snapshot, run = SnapshotDataOperator(task_id="snapshot", model="price"), context()
    request, inputs = snapshot.build_request(run, snapshot.declared(), run_folder(run, "price"))
    assert "open-sesame" not in request.model_dump_json()
    assert inputs == {}
    told = snapshot.secrets(run, snapshot.declared())["connection_url"]
    assert told.get_secret_value() == "postgresql+psycopg://ann:open-sesame@db/market"
    assert snapshot.reaches_out(snapshot.declared())


# Data check.


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


# Evaluate.


def judged(
    auc: float | None, *, champion: Deployment | None = None, dry_run: bool = False, latency: float = 1.0
) -> Evaluated:
    run = context(dry_run=dry_run)
    folder = run_folder(run, "price")
    (folder.outputs("champion")).mkdir(parents=True, exist_ok=True)
    (folder.outputs("champion") / "champion.json").write_text(
        champion.model_dump_json() if champion else "null", encoding="utf-8"
    )
    part = artefact("price/x")
    trained = Trained(bundle=bundle(), model=part, references=part, holdout=part, train_end=None)
    comparison = Comparison(
        metric="roc_auc",
        challenger=auc,
        rows=500,
        blocks=20,
        **({"other": 0.8, "gain": 0.0, "gain_low": 0.0, "gain_high": 0.0} if champion else {}),
    )
    report = EvaluationReport(
        task="binary_classification", primary="roc_auc", challenger_version="7", rows=500, blocks=20, leaked_rows=0,
        champion_version=champion.champion.version if champion else None, holdout_start=None, holdout_end=None,
        comparisons=(comparison,), is_linear=False,
    )  # fmt: skip
    result = StageResult(
        stage="evaluate",
        report=report.model_dump(mode="json"),
        outputs={"report": artefact("report")},
        timings={"latency_p95_ms": latency},
    )
    operator = EvaluateVsChampionOperator(task_id="evaluate", model="price", trained=trained.model_dump(mode="json"))
    return Evaluated.model_validate(operator.conclude(run, result, folder))


def test_what_passes_is_judged_then_blessed_by_the_digest_of_its_judgement() -> None:
    evaluated = judged(0.9)
    assert evaluated.is_blessed
    [judgement], [blessed] = entries(EntryKind.JUDGED), entries(EntryKind.BLESSED)
    assert judgement.seq < blessed.seq
    assert blessed.facts["judgement_sha256"] == judgement.facts["judgement_sha256"] == evaluated.judgement.digest()
    assert Judgement.model_validate(judgement.facts["judgement"]).digest() == evaluated.judgement.digest()
    assert Blessing.model_validate(blessed.facts).rubber_stamped


@pytest.mark.parametrize(
    ("auc", "verdict"), [(0.6, Verdict.FAILED), (None, Verdict.INCONCLUSIVE), (float("nan"), Verdict.INCONCLUSIVE)]
)
def test_what_does_not_pass_is_recorded_and_not_blessed(auc: float | None, verdict: Verdict) -> None:
    evaluated = judged(auc)
    assert (evaluated.judgement.verdict, evaluated.is_blessed) == (verdict, False)
    assert len(entries(EntryKind.JUDGED)) == 1
    assert entries(EntryKind.BLESSED) == []


def test_a_dry_run_blesses_nothing() -> None:
    assert not judged(0.9, dry_run=True).is_blessed
    assert entries(EntryKind.BLESSED) == []


def test_a_measured_latency_is_judged_like_any_number() -> None:
    declare(gates=[{"metric": "roc_auc"}, {"metric": "latency_p95_ms", "ceiling": 5}])
    evaluated = judged(0.9, latency=9.0)
    assert not evaluated.is_blessed
    assert "latency_p95_ms is 9" in evaluated.judgement.sentence


def test_a_retry_says_nothing_twice_and_a_later_champion_gets_an_answer_of_its_own() -> None:
    first = serve(3, 1)
    for _ in range(2):
        assert judged(0.8, champion=first).is_blessed
    again = judged(0.8, champion=first.model_copy(update={"epoch": 4, "champion_since": 3}))
    assert again.champion_epoch == 3
    assert [entry.facts["champion_epoch"] for entry in entries(EntryKind.BLESSED)] == [1, 3]


# Promote and roll back.


def test_what_is_not_blessed_is_skipped() -> None:
    with pytest.raises(AirflowSkipException, match=r"version 7 is not blessed: roc_auc is 0\.6"):
        PromoteOperator(task_id="promote", model="price", evaluated=judged(0.6).model_dump(mode="json")).execute(
            context()
        )


def test_a_refused_promotion_is_recorded_told_and_not_tried_again() -> None:
    evaluated = judged(0.9)
    serve(4, 1)
    pushed: dict[str, Any] = {}
    for _ in range(2):
        with pytest.raises(PromotionRefused, match="stale") as refused:
            PromoteOperator(task_id="promote", model="price", evaluated=evaluated.model_dump(mode="json")).execute(
                context(pushed)
            )
    assert isinstance(refused.value, AirflowFailException)
    assert "stale" in pushed[REFUSAL_KEY]
    assert [entry.facts["version"] for entry in entries(EntryKind.REFUSED)] == [7]
    current = connect().deployments.current("price")
    assert current is not None
    assert current.champion.version == 4


def test_a_held_model_is_judged_and_not_promoted_until_it_is_released() -> None:
    evaluated, pushed = judged(0.9).model_dump(mode="json"), dict[str, Any]()
    connect().ledger.append("price", EntryKind.HELD, "carl", "the meters are being replaced")
    with pytest.raises(PromotionHeld, match=r"held by carl since .* \(the meters are being replaced\)") as held:
        PromoteOperator(task_id="promote", model="price", evaluated=evaluated).execute(context(pushed))
    assert isinstance(held.value, AirflowSkipException)
    assert "held by carl" in pushed[HELD_KEY]
    assert REFUSAL_KEY not in pushed
    assert [entry.facts for entry in entries(EntryKind.REFUSED)] == [{"version": 7, "held_by": "carl"}]
    assert connect().deployments.current("price") is None
    connect().ledger.append("price", EntryKind.RELEASED, "ann", "they are replaced")
    PromoteOperator(task_id="promote", model="price", evaluated=evaluated).execute(context())
    assert connect().deployments.current("price") is not None


def test_a_blessing_that_the_ledger_does_not_know_promotes_nothing() -> None:
    forged = judged(0.6).model_copy(update={"is_blessed": True})
    with pytest.raises(PromotionRefused, match="holds no blessing"):
        PromoteOperator(task_id="promote", model="price", evaluated=forged.model_dump(mode="json")).execute(context())
    assert connect().deployments.current("price") is None


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("previous", "No version of price serves yet"),
        ("the one before", "neither 'previous' nor a version number"),
        ("12", "No version"),
    ],
)
@pytest.mark.parametrize("is_dry_run", [True, "False"])
def test_a_rollback_that_cannot_be_is_refused_with_a_sentence(target: str, says: str, is_dry_run: bool | str) -> None:
    operator = RollbackOperator(
        task_id="rollback", model="price", target=target, reason="it hurts", is_dry_run=is_dry_run
    )
    with pytest.raises(RollbackRefused, match=says) as refused:
        operator.execute(context())
    assert isinstance(refused.value, AirflowFailException)


# Search.

SEARCH = {"search": {"max_depth": {"low": 2, "high": 9}}, "budget": 3, "parallelism": 2}


def ask(round_number: int, previous: Any = None, run_id: str = "manual__1", **form: Any) -> list[dict[str, Any]]:
    handed = {"data": "x"}
    operator = AskTrialsOperator(
        task_id=f"ask_{round_number}", model="price", data=handed, round_number=round_number, previous=previous
    )
    return operator.execute(context(run_id=run_id, **form))


def trained_before(searched: dict[str, Any]) -> None:
    spec = SnapshotDataOperator(task_id="x", model="price").declared()
    serve(3, 1)
    facts = {"searched": searched, "search_space": search_space_digest(spec), "version": 3}
    connect().ledger.append("price", EntryKind.TRAINED, "ann", "trained", run="r", facts=facts)


def report(point: dict[str, Any], value: float | None) -> dict[str, Any]:
    return {
        "number": point["number"],
        "params": point["params"],
        "metric": "roc_auc",
        "value": value,
        "rows_trained": 9,
        "rows_validated": 9,
    }


def test_a_first_model_spends_the_whole_budget_in_rounds() -> None:
    declare(train=SEARCH)
    first = ask(1)
    second = ask(2, [report(first[0], 0.7), None])
    assert (len(first), len(second)) == (2, 1)
    assert [point["number"] for point in first + second] == [0, 1, 2]
    assert ask(2, [report(first[0], 0.7), None]) == second


def test_a_known_space_starts_at_the_champions_point_and_needs_one_round() -> None:
    declare(train=SEARCH)
    trained_before({"max_depth": 5})
    first = ask(1)
    assert first[0]["params"] == {"max_depth": 5}
    assert ask(2, [report(point, 0.7) for point in first]) == []
    assert len(ask(2, [report(point, 0.7) for point in first], full_search=True)) == 1


def test_another_space_needs_a_new_search() -> None:
    declare(train=SEARCH)
    trained_before({"max_depth": 5})
    declare(train={**SEARCH, "search": {"max_depth": {"low": 2, "high": 20}}})
    first = ask(1, run_id="manual__2")
    assert len(ask(2, [report(point, 0.7) for point in first], run_id="manual__2")) == 1


def test_without_checked_data_nothing_is_asked() -> None:
    with pytest.raises(AirflowSkipException):
        AskTrialsOperator(task_id="ask_1", model="price", data=None, round_number=1).execute(context())  # type: ignore[arg-type]


def test_lost_trials_are_absent() -> None:
    point = {"number": 1, "params": {"max_depth": 2}}
    assert [r.number for r in trial_reports([None, report(point, 0.5)])] == [1]
    assert [r.number for r in trial_reports(report(point, 0.5))] == [1]
    assert trial_reports(None) == []


# Tidy.


def test_only_run_folders_that_nobody_wrote_to_for_long_are_removed(tmp_path: Path) -> None:
    import os

    workspace = tmp_path / "workspace"
    for name, days in (("old", 40), ("fresh", 1), ("old-but-used", 40)):
        folder = workspace / "price" / name / "train"
        folder.mkdir(parents=True)
        (folder / "model").write_text("x")
        stamp = DUE.timestamp() - days * 86_400
        for path in (folder / "model", folder, folder.parent):
            os.utime(path, (stamp, stamp))
    os.utime(workspace / "price" / "old-but-used" / "train", (DUE.timestamp(), DUE.timestamp()))
    job = workspace / ".jobs" / "price-train"
    job.mkdir(parents=True)
    os.utime(job, (0, 0))
    (workspace / "price" / "a-file").write_text("not a run")
    assert remove_old_runs(workspace, DUE, parse_duration("30d")) == ["price/old"]
    assert {path.name for path in (workspace / "price").iterdir()} == {"fresh", "old-but-used", "a-file"}
    assert remove_old_runs(tmp_path / "none", DUE, parse_duration("30d")) == []


@pytest.mark.parametrize(("isolation", "ends"), [("auto", 1), ("process", 1), ("docker", RunnerError)])
def test_stages_are_looked_for_wherever_a_declaration_may_have_sent_them(
    isolation: str, ends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_processes(place: str, *_: Any) -> str:
        if place == "docker":
            raise RunnerError("no Docker engine answers")
        return place

    monkeypatch.setattr("understudy.operators.tidy.choose_runner", only_processes)
    chosen = settings().model_copy(update={"isolation": isolation})
    if isinstance(ends, int):
        assert len(runners_of(chosen)) == ends
    else:
        with pytest.raises(ends):
            runners_of(chosen)
