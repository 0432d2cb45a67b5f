"""What answers are worth: from a cost matrix or from the team's own function."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.contract.declaration.spec import ModelSpec
from understudy.stages.context import Refused
from understudy.stages.measure.answers import Answers
from understudy.stages.model.fit import team_code
from understudy.stages.model.load_code import load_function
from understudy.stages.window import Array


def with_values(answers: Answers, spec: ModelSpec, code: Path | None) -> Answers:
    """Add the value of each answer where the spec says what an answer is worth.

    :raises Refused: where the cost matrix lacks a class or the function returns no usable numbers.
    """
    declared = spec.evaluate.value
    if declared is None:
        return answers
    if declared.costs is not None:
        return replace(answers, values=_from_costs(answers, declared.costs))
    reference = str(declared.function)
    value = load_function(team_code(code, reference, "evaluate.value.function"), reference)
    names = np.array([*answers.classes, ""])
    actual = names[answers.actual] if answers.classes else answers.actual
    predicted = names[answers.predicted] if answers.classes else answers.predicted
    values = np.asarray(value(actual, predicted), dtype=np.float64)
    if values.shape != (len(answers),) or not np.isfinite(values).all():
        raise Refused(
            f"{reference} got {len(answers):,} rows and returned values of shape {values.shape}; it must return one "
            "finite number for each row",
            "evaluate.value.function",
        )
    return replace(answers, values=values)


def _from_costs(answers: Answers, costs: dict[str, dict[str, float]]) -> Array:
    if not answers.classes:
        raise Refused(
            "evaluate.value.costs are for classes; a regression needs evaluate.value.function", "evaluate.value.costs"
        )
    field = "evaluate.value.costs"
    matrix = np.zeros((len(answers.classes), len(answers.classes) + 1))
    for row, actual in enumerate(answers.classes):
        for column, predicted in enumerate(answers.classes):
            if predicted not in costs.get(actual, {}):
                raise Refused(
                    f"{field} does not say what it costs to answer {predicted!r} where {actual!r} is true; "
                    f"add {field}.{actual}.{predicted}",
                    field,
                )
            matrix[row, column] = costs[actual][predicted]
        matrix[row, -1] = matrix[row].max()  # an answer outside of all classes is as bad as the worst one
    gains: Array = -matrix[answers.actual, answers.predicted]
    return gains
