"""One trial of the search: fit on the training part, score on the validation part. Writes no files."""

import logging

from pydantic import JsonValue

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.metrics import METRICS
from understudy.contract.reports import TrialReport
from understudy.stages.context import Refused, StageContext, StageOutput, stage

log = logging.getLogger(__name__)


@stage
def run(context: StageContext) -> StageOutput:
    """Score one set of parameters; needs ``data.parquet``, takes ``code``.

    ``params`` are ``number`` (of the trial) and ``params`` (which override ``train.params``).
    """
    from understudy.stages.measure.answers import all_classes, ask
    from understudy.stages.measure.metrics import measure
    from understudy.stages.measure.value import with_values
    from understudy.stages.model.fit import fit, set_up
    from understudy.stages.split import split_window
    from understudy.stages.window import read_window

    spec = ModelSpec.model_validate(context.request.spec)
    params = chosen_params(context, spec)
    code = context.inputs.get("code")
    window = read_window(context.inputs["data.parquet"], spec)
    split = split_window(window, spec)
    bench = set_up(spec, code, window.take(split.rest))
    train, validation = window.take(split.train), window.take(split.validation)
    log.info(
        "trial %s: fitting %s on %d rows with %s",
        context.request.params.get("number", 0),
        spec.train.trainer or spec.train.estimator,
        len(train),
        params,
    )
    scorer = fit(bench, params, train)
    answers = with_values(ask(scorer, validation, all_classes(window, [scorer])), spec, code)
    value = measure(spec.primary, answers)
    if value is None:
        raise Refused(_unmeasurable(spec, len(validation)), "train.trainer")
    log.info(
        "trial %s: %s %s on %d later rows",
        context.request.params.get("number", 0),
        spec.primary,
        value,
        len(validation),
    )
    return StageOutput(
        TrialReport(
            number=int(str(context.request.params.get("number", 0))),
            params=params,
            metric=spec.primary,
            value=value,
            rows_trained=len(train),
            rows_validated=len(validation),
        )
    )


def _unmeasurable(spec: ModelSpec, rows: int) -> str:
    told = f"{spec.primary} cannot be measured on the {rows:,} rows that trials are scored on"
    if METRICS[spec.primary].of_scores:
        return f"{told}: the model gives no usable probabilities; let train.trainer return one with predict_proba"
    return f"{told}: it is no finite number; look at what the model answers, and at evaluate.value where there is one"


def chosen_params(context: StageContext, spec: ModelSpec) -> dict[str, JsonValue]:
    """Put the request's parameters over the declared ones.

    :raises Refused: where the request's are no object.
    """
    given = context.request.params.get("params", {})
    if not isinstance(given, dict):
        raise Refused(
            f"params.params is {given!r}; it must be an object of parameter names and values", "params.params"
        )
    return {**spec.train.params, **given}
