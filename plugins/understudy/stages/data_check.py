"""Measure whether a window may be trained on; set bad rows aside. The verdict is ``contract.judge_data``'s."""

import json
from datetime import datetime
from pathlib import Path
from shutil import copyfile

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import ColumnProfile, DataReport
from understudy.stages.check.batch import check_duplicates, check_freshness, check_nulls, check_volume
from understudy.stages.check.checked_window import SLICE_ROWS, CheckedWindow
from understudy.stages.check.labels import check_conflicts, check_labels, label_shares
from understudy.stages.check.skew import check_skew
from understudy.stages.check.split import check_split
from understudy.stages.check.texts import check_texts
from understudy.stages.context import StageContext, StageOutput, stage
from understudy.stages.read.column_kind import kind_of
from understudy.stages.read.undated import Undated

REPORTED_PROFILES = 200  # keeps the result of a very wide window below its size limit; profile.json has them all
WINDOW, REFERENCE_PROFILE, UNDATED = "data.parquet", "reference_profile.json", "undated.parquet"
ROW = "__row"  # the row number beside the window's own columns


@stage
def run(context: StageContext) -> StageOutput:
    """Check a window in slices, so that memory does not grow with its length.

    Writes ``data.parquet`` (the good rows without personal columns), ``quarantine.parquet`` where rows are bad, with
    the reasons in ``_why``, and ``profile.json``. Rows without a label never go on, even where their share is allowed.
    """
    window = CheckedWindow(ModelSpec.model_validate(context.request.spec), context.inputs[WINDOW])
    undated = Undated(context.inputs[UNDATED], window.spec) if UNDATED in context.inputs else None
    window.read()
    window.check_unique()
    window.check_references(context)
    report = _report(context, window, undated)
    outputs = {"data": _write_good(context, window), "profile": _write_profile(context, window)}
    if _is_worth_splitting(report, window.spec):
        report = report.model_copy(update={"findings": (*report.findings, check_split(outputs["data"], window.spec))})
    if report.bad_rows:
        outputs["quarantine"] = _write_bad(context, window, undated)
    return StageOutput(report, outputs)


def _report(context: StageContext, window: CheckedWindow, undated: Undated | None) -> DataReport:
    spec, params = window.spec, context.request.params
    read = window.rows + (undated.rows if undated else 0)
    labels = window.hashes["label"] if window.rows else window.sample[spec.data.target]
    findings = [
        *check_volume(window.rows, _numbers(params.get("history")), spec.checks),
        *window.cells.findings(window.rows),
        *([undated.finding(read)] if undated else []),
        *check_nulls(window.profile, spec.checks, frozenset({spec.data.target, *spec.data.drop})),
        *check_duplicates(window.hashes, spec.data, spec.checks),
        *check_labels(
            spec, labels, kind_of(window.sample.schema[spec.data.target]), _texts(params.get("known_classes"))
        ),
        *check_texts(window),
    ]
    if "feature_hash" in window.hashes.columns:
        findings.append(check_conflicts(window.hashes, spec.checks))
    if spec.data.time:
        newest = window.hashes["time"].max() if window.rows else None
        findings += check_freshness(
            newest if isinstance(newest, datetime) else None, context.request.as_of, spec.checks
        )
    if REFERENCE_PROFILE in context.inputs:
        stored = json.loads(context.inputs[REFERENCE_PROFILE].read_text(encoding="utf-8"))
        reference = {column: ColumnProfile.model_validate(facts) for column, facts in stored.items()}
        # A column without a value has no kind; what its file calls it says nothing about the values it should hold.
        empty = {column for column, facts in window.profile.items() if facts.null_share == 1}
        findings += check_skew(window.sample, reference, window.outside | empty, spec.checks)
    return DataReport(
        rows=read,
        rows_checked=window.rows - labels.null_count(),
        bad_rows=window.bad.height + read - window.rows,
        max_bad_share=spec.checks.max_bad_share,
        findings=tuple(findings),
        profile=dict(list(window.profile.items())[:REPORTED_PROFILES]),
        label_shares=label_shares(labels) if spec.task.is_classification else {},
    )


def _is_worth_splitting(report: DataReport, spec: ModelSpec) -> bool:
    """Tell whether good rows and their labels are what they should be; else the split would only repeat the reason."""
    of_target = (finding for finding in report.findings if finding.column == spec.data.target and finding.batch_level)
    return report.bad_rows <= report.max_bad_share * report.rows and not any(finding.failed for finding in of_target)


def _write_good(context: StageContext, window: CheckedWindow) -> Path:
    import polars as pl

    path = context.outputs / WINDOW
    unlabelled = window.typed.select(pl.col(window.spec.data.target).null_count()).collect().item()
    dropped = window.spec.data.dropped
    if not (window.bad.height or unlabelled or dropped or window.cells.casts or window.not_finite):
        copyfile(window.path, path)
        return path
    good = window.typed
    if window.bad.height:
        good = good.with_row_index(ROW).join(
            window.bad.lazy(), left_on=ROW, right_on="row", how="anti", maintain_order="left"
        )
    kept = [column for column in window.schema if column not in dropped]
    good.filter(pl.col(window.spec.data.target).is_not_null()).select(kept).sink_parquet(
        path, compression="zstd", compression_level=1, row_group_size=SLICE_ROWS
    )
    return path


def _write_bad(context: StageContext, window: CheckedWindow, undated: Undated | None) -> Path:
    import polars as pl

    path = context.outputs / "quarantine.parquet"
    kept = [column for column in window.schema if column not in window.personal]
    rows = (
        pl.scan_parquet(window.path)
        .with_row_index(ROW)
        .join(window.bad.lazy(), left_on=ROW, right_on="row", how="inner", maintain_order="left")
    )
    bad = rows.select(*kept, "_why")
    if undated:
        bad = pl.concat([bad, undated.quarantined(window.schema).select(*kept, "_why")], how="vertical_relaxed")
    bad.sink_parquet(path, compression="zstd", compression_level=3)
    return path


def _write_profile(context: StageContext, window: CheckedWindow) -> Path:
    path = context.outputs / "profile.json"
    path.write_text(
        json.dumps({column: facts.model_dump(mode="json") for column, facts in window.profile.items()}, indent=1),
        encoding="utf-8",
    )
    return path


def _numbers(value: object) -> list[float]:
    return [float(item) for item in value if isinstance(item, (int, float))] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
