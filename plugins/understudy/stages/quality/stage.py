"""The champion on the rows whose labels have come, beside the holdout that it was blessed on."""

from __future__ import annotations

import logging

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused, StageContext, StageOutput, stage

log = logging.getLogger(__name__)


@stage
def run(context: StageContext) -> StageOutput:
    """Measure the champion's quality on labelled live rows and, again, on its holdout.

    Needs ``current.parquet``, ``reference.parquet`` and ``champion``; takes ``code`` for a value function. The holdout
    is what the champion's training did not see of its reference window; the champion answers it anew, so that both
    losses come from the same code. Labelled rows are those of the last window whose labels are final.

    ``params`` as for the drift stage. Longer windows are thinned evenly to ``evaluate.max_rows``. Writes ``report``, a
    folder with report.html and report.json.
    """
    import polars as pl

    from understudy.stages.look import REFERENCE, Look
    from understudy.stages.quality.answered import answered
    from understudy.stages.quality.live_answers import (
        champion_answers,
        count_labels,
        is_labelled,
        live_answers,
        live_scores,
    )
    from understudy.stages.quality.measure import measure_quality
    from understudy.stages.quality.write import write_quality
    from understudy.stages.reference_rows import unseen_rows
    from understudy.stages.sample import SAMPLE_ROWS, take_sample

    look = Look(context, ModelSpec.model_validate(context.request.spec))
    spec, code, matured = look.spec, context.inputs.get("code"), look.matured
    labels = count_labels(matured, spec.data.target)
    unseen = unseen_rows(look.reference, look.champion.facts, spec, spec.evaluate.max_rows)
    if unseen.is_empty():
        raise Refused("The reference window holds no row that the champion was not trained on", REFERENCE)
    log.info("1 of 3: the champion answers %s rows of its holdout", f"{unseen.height:,}")
    holdout = answered(*champion_answers(look, unseen, code), spec)
    log.info("2 of 3: %s of %s live rows have a label", f"{labels.labelled:,}", f"{labels.rows:,}")
    known = matured.table.filter(is_labelled(matured, spec.data.target))
    labelled = take_sample(known, labels.labelled, seed=0, limit=spec.evaluate.max_rows)
    live = answered(*live_answers(look, labelled, code), spec)
    count = int(look.rows.table.select(pl.len()).collect(engine="streaming").item())
    report = measure_quality(
        live,
        holdout,
        spec,
        rows=labels.rows,
        labelled_rows=labels.labelled,
        scores=live_scores(look, take_sample(look.rows.table, count, seed=0, limit=SAMPLE_ROWS)),
        newest_label=labels.newest,
    )
    log.info("3 of 3: writing the report")
    folder = write_quality(context.outputs / "report", report, live, holdout.spread, spec)
    return StageOutput(report, {"report": folder})
