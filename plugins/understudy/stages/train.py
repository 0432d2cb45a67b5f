"""The final fit, with the reference trainings beside it."""

import logging
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Number, TrainingReport
from understudy.stages.context import StageContext, StageOutput, stage
from understudy.stages.trial import chosen_params

if TYPE_CHECKING:
    import pandas as pd

    from understudy.stages.model.scorer import Scorer
    from understudy.stages.window import Window

log = logging.getLogger(__name__)
REFERENCES = ("dummy", "linear")
UNDATED = datetime(2000, 1, 1, tzinfo=timezone.utc)  # any fixed moment
SAMPLE_ROWS = 100  # from which the signature is inferred


@stage
def run(context: StageContext) -> StageOutput:
    """Fit the challenger; needs ``data.parquet``, takes ``code``, writes ``model``, ``references`` and ``holdout``.

    The metrics and the importance come from a fit that has not seen the validation rows; the model itself is then
    fitted on everything before the embargo. ``params`` are ``params``, the search's best.
    """
    from understudy.stages.measure.importance import feature_importance, unused_features
    from understudy.stages.model.fit import fit, fit_reference, set_up
    from understudy.stages.split import split_window
    from understudy.stages.window import read_window

    spec = ModelSpec.model_validate(context.request.spec)
    params = chosen_params(context, spec)
    code = context.inputs.get("code")
    window = read_window(context.inputs["data.parquet"], spec)
    split = split_window(window, spec)
    rest, train, validation, holdout = (
        window.take(getattr(split, part)) for part in ("rest", "train", "validation", "holdout")
    )
    bench = set_up(spec, code, rest)

    log.info(
        "1 of 4: fitting %s and its references on %d rows, measuring on the next %d",
        spec.train.trainer or spec.train.estimator,
        len(train),
        len(validation),
    )
    draft = fit(bench, params, train)
    metrics = _measured(draft, validation, spec, code)
    references = {name: _measured(fit_reference(bench, name, train), validation, spec, code) for name in REFERENCES}
    log.info("2 of 4: shuffling %d features one by one", len(draft.features))
    importance = feature_importance(draft, validation, spec, code)
    log.info("3 of 4: fitting on all %d rows before the embargo", len(rest))
    final = _placed(fit(bench, params, rest), split.holdout_below)
    final_references = {name: _placed(fit_reference(bench, name, rest), split.holdout_below) for name in REFERENCES}
    log.info("4 of 4: writing the model, its references and the %d rows that none of them has seen", len(holdout))
    # Not the run's moment: the same model from the same rows must stay the same artefact, so that a denied one stays
    # denied however often it is trained again.
    created = rest.last_time or UNDATED
    outputs = _write_models(context, spec, final, final_references, bench.typed(_sample(rest)), created=created)
    outputs["holdout"] = _write_holdout(context.outputs / "holdout.parquet", holdout, spec)

    report = TrainingReport(
        estimator=final.facts.estimator,
        params=params,
        seed=spec.train.seed,
        rows_trained=len(rest),
        rows_held_out=len(holdout),
        rows_embargoed=len(split.embargoed),
        train_end=rest.last_time,
        holdout_start=holdout.first_time,
        holdout_end=holdout.last_time,
        features=final.features,
        classes=tuple(map(str, final.classes)),
        decision_threshold=final.facts.decision_threshold,
        metrics=metrics,
        reference_metrics=references,
        importance=importance,
        unused_features=unused_features(importance),
    )
    return StageOutput(report, outputs)


def _sample(window: "Window") -> "Window":
    import numpy as np

    return window.take(np.arange(min(len(window), SAMPLE_ROWS)))


def _placed(scorer: "Scorer", holdout_below: float | None) -> "Scorer":
    return replace(scorer, facts=scorer.facts.model_copy(update={"holdout_below": holdout_below}))


def _measured(scorer: "Scorer", window: "Window", spec: ModelSpec, code: Path | None) -> dict[str, Number]:
    from understudy.stages.measure.answers import all_classes, ask
    from understudy.stages.measure.metrics import measure, measured_metrics
    from understudy.stages.measure.value import with_values

    answers = with_values(ask(scorer, window, all_classes(window, [scorer])), spec, code)
    return {name: measure(name, answers) for name in measured_metrics(spec)}


def _write_models(
    context: StageContext,
    spec: ModelSpec,
    final: "Scorer",
    references: dict[str, "Scorer"],
    sample: "pd.DataFrame",
    *,
    created: datetime,
) -> dict[str, Path]:
    from understudy.stages.model.model_files import save_model, save_reference

    code = context.inputs.get("code")
    outputs = {"model": context.outputs / "model", "references": context.outputs / "references"}
    save_model(outputs["model"], final, sample, code, created, allow_pickle=spec.train.allow_pickle)
    for name, scorer in references.items():
        save_reference(outputs["references"] / name, scorer, code)
    return outputs


def _write_holdout(path: Path, holdout: "Window", spec: ModelSpec) -> Path:
    """Keep the rows whole but for personal columns; slices, fairness and the no-change baseline need the others."""
    holdout.frame.drop(columns=[c for c in holdout.frame.columns if c in spec.data.dropped]).to_parquet(
        path, index=False
    )
    return path
