"""A ledger of many models with a believable past, written at once: one by one, a thousand models take minutes."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from understudy.contract.cause import Ask, Cause
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.monitoring import Calibration, ColumnDrift, Decision, DriftReport, MonitorReport, QualityReport
from understudy.contract.release import GENESIS, Bundle, Deployment, LedgerEntry
from understudy.contract.reports import Comparison, EvaluationReport, TrainingReport
from understudy.contract.retrainings import Look
from understudy.contract.words import Change, DistanceMethod, EntryKind, Outcome, Trigger, Verdict, Watched
from understudy.hooks.ledger import schema

BEGAN = datetime(2026, 1, 5, 3, 0, tzinfo=timezone.utc)
Told = tuple[EntryKind, str, str, str | None, dict[str, Any], str | None]


def write_fleet(path: Path, models: int, entries: int = 50, until: datetime | None = None) -> list[str]:
    """Write so many entries for each of so many models, the newest at ``until``; return the models' names."""
    names = [f"model_{number:04}" for number in range(models)]
    total = models * entries
    step = timedelta(hours=4)
    began = (until - step * entries) if until else BEGAN
    pasts = [list(past(name, entries)) for name in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    rows, previous = [], GENESIS
    for seq in range(1, total + 1):
        turn, which = divmod(seq - 1, models)
        kind, actor, reason, run, facts, once_key = pasts[which][turn]
        at = began + step * turn + timedelta(seconds=which)
        draft = LedgerEntry(
            seq=seq, at=at, model=names[which], kind=kind, actor=actor, reason=reason, run=run, facts=facts,
            once_key=once_key, prev_hash=previous, hash="",
        )  # fmt: skip
        entry = draft.model_copy(update={"hash": draft.expected_hash()})
        rows.append(schema.to_row(entry))
        previous = entry.hash
    with engine.begin() as connection:
        schema.create(connection)
        connection.execute(insert(schema.LEDGER), rows)
    engine.dispose()
    return names


def past(model: str, entries: int) -> Iterator[Told]:
    """Tell a model's past: two retrainings that promote, then looks."""
    told = 0
    for version in (1, 2):
        for one in retraining(model, version):
            yield one
            told += 1
    for number in range(entries - told):
        facts = look(model, 2, number).model_dump(mode="json")
        yield EntryKind.MONITORED, "scheduled", "nothing is wrong with the champion", f"look-{number}", facts, None


def bundle(model: str, version: int) -> Bundle:
    return Bundle(
        model=model, version=version, model_sha256=f"{version:064x}", image_digest=f"sha256:{version:064x}",
        code_commit="9791ad7", spec_sha256="c" * 64, data_version=f"{version:032x}", run=f"run-{version}",
        decision_threshold=0.5, reference_data=f"{version:032x}",
    )  # fmt: skip


def record(model: str, version: int, epoch: int, **others: Any) -> Deployment:
    previous = bundle(model, version - 1) if version > 1 else None
    told = {"change": Change.PROMOTION, "previous": previous, **others}
    return Deployment(model=model, epoch=epoch, champion=bundle(model, version), **told)


def retraining(model: str, version: int) -> Iterator[Told]:
    """Tell a retraining that promotes."""
    run, other = f"run-{version}", version - 1 or None
    cause = Cause(reasons=(Trigger.SCHEDULE,), sentence="the schedule")
    judged = judgement(Verdict.PASSED)
    yield EntryKind.TRIGGERED, "scheduled", cause.sentence, run, {
        "cause": cause.model_dump(mode="json"), "may_promote": True, "as_of": BEGAN.isoformat(),
        "run_id": run, "dag_id": f"retrain__{model}",
    }, None  # fmt: skip
    training = TrainingReport(
        estimator="hist_gradient_boosting", params={"max_depth": 6}, seed=0, rows_trained=36_000, rows_held_out=9_000,
        rows_embargoed=48, train_end=BEGAN, holdout_start=BEGAN, holdout_end=BEGAN, features=(), metrics={"auc": 0.8},
    )  # fmt: skip
    yield EntryKind.TRAINED, "scheduled", f"version {version} trained on 36,000 rows", run, {
        "version": version, "bundle": bundle(model, version).model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude={"features"}),
    }, None  # fmt: skip
    compared = Comparison(metric="roc_auc", challenger=0.81 + version / 100, other=0.8, gain=0.02, gain_low=0.01,
                          gain_high=0.03, rows=9_000, blocks=60)  # fmt: skip
    report = EvaluationReport(
        task="binary_classification", primary="roc_auc", challenger_version=str(version), champion_version=other,
        rows=9_000, blocks=60, holdout_start=BEGAN, holdout_end=BEGAN, leaked_rows=0, comparisons=(compared,),
        is_linear=False,
    )  # fmt: skip
    yield EntryKind.JUDGED, "scheduled", judged.sentence, run, {
        "version": version, "verdict": "passed", "rubber_stamped": version == 1, "champion_version": other,
        "judgement": judged.model_dump(mode="json"), "data_version": f"{version:032x}",
        "report": report.model_dump(mode="json", exclude={"slices"}),
    }, None  # fmt: skip
    deployed = record(model, version, version)
    yield EntryKind.DEPLOYED, "scheduled", f"version {version} passed every gate", run, {
        "epoch": version, "deployment": deployed.model_dump(mode="json"),
    }, f"deployed:{model}:{version}"  # fmt: skip
    yield EntryKind.CONFIRMED, "scheduled", f"epoch {version} serves", None, {
        "epoch": version, "version": version,
    }, f"confirmed:{model}:{version}"  # fmt: skip
    sentence = f"version {version} of {model} is champion, epoch {version}"
    yield EntryKind.CONCLUDED, "scheduled", sentence, run, {
        "outcome": Outcome.PROMOTED.value, "version": version, "champion": version, "sentence": sentence,
    }, None  # fmt: skip


def judgement(verdict: Verdict) -> Judgement:
    answers = tuple(
        GateResult(gate=gate, verdict=verdict, measured=0.82, low=0.81, high=0.83, bound="at least 0.75",
                   sentence=f"{gate} is 0.82, at least 0.75")
        for gate in ("roc_auc", "latency_ms", "must_beat_dummy")
    )  # fmt: skip
    return Judgement(verdict=verdict, results=answers)


def look(model: str, version: int, number: int, verdict: Verdict = Verdict.PASSED) -> Look:
    """Tell a look that saw nothing."""
    at = BEGAN + timedelta(hours=number)
    moved = ColumnDrift(column="wind", method=DistanceMethod.WASSERSTEIN, distance=0.4, threshold=0.2, importance=0.1)
    answers = tuple(
        GateResult(gate=gate, verdict=verdict, measured=0.05 + number / 500, low=None, high=0.2, bound="less than 30%",
                   sentence=f"{gate}: columns with 5% of the importance moved; less than 30%")
        for gate in ("drift", "quality", "staleness")
    )  # fmt: skip
    quality = QualityReport(
        metric="roc_auc", rows=4_000, labelled_rows=3_000, blocks=30, value=0.82 - number / 1000, low=0.80, high=0.84,
        blessed=0.83, blessed_error=0.01,
    )  # fmt: skip
    drift = DriftReport(
        reference_data="d" * 32, reference_rows=36_000, current_rows=4_000, sampled_reference_rows=20_000,
        sampled_current_rows=4_000, columns=(moved,) * 4, calibration=Calibration(length="7d", shares=(0.1, 0.0)),
    )  # fmt: skip
    report = MonitorReport(
        model=model, watched=Watched.GATEWAY, champion_version=version, champion_since=BEGAN, as_of=at,
        window_start=at - timedelta(days=7), window_end=at, drift=drift, quality=quality, new_labels=100,
    )  # fmt: skip
    decision = Decision(
        judgement=Judgement(verdict=verdict, results=answers), is_drifting=False,
        sentence="nothing is wrong with the champion",
    )  # fmt: skip
    return Look(report=report, decision=decision, is_due=False, champion_since=2)


def ask(seq: int) -> Ask:
    return Ask(reasons=(Trigger.DRIFT,), sentence="the wind turned", ledger_seq=seq, ledger_hash="f" * 64, run_id="r")
