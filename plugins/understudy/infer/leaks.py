"""Columns that give the answer away."""

import re
from typing import TYPE_CHECKING

from understudy.contract.words import MlTask
from understudy.infer.columns import Roles
from understudy.infer.matrix import evenly, matrix
from understudy.infer.notes import of_columns
from understudy.stages.read.column_kind import NUMERIC, kind_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

CELLS = 600_000
GIVEN_AWAY = 0.98
EXACT = 0.9999
SUM_COLUMNS = 4
STRONG, NEARLY_STRONGEST = 0.7, 0.05
KNOWN_AFTERWARDS = re.compile(
    r"duration|elapsed|outcome|result|resolution|closed|cancel|refund|chargeback|settled|final|actual|after",
    re.IGNORECASE,
)


def discard_leaks(table: "pl.DataFrame", target: str, task: MlTask, roles: Roles) -> list[str]:
    """Drop features that determine the target, alone or as a sum, or that are strong and named like an aftermath.

    Each column alone is scored by a small tree, fitted on every other row and tested on the rest: R² for numbers, the
    area under the ROC curve (one class against the rest) for classes.
    """
    if not roles.features:
        return []
    rows = evenly(table.filter(table[target].is_not_null()), max(2_000, min(20_000, CELLS // len(roles.features))))
    answers = _answers(rows[target], task)
    scores = {
        column: _score(values[:, None], answers, task)
        for column, values in zip(roles.features, matrix(rows, roles.features).T, strict=True)
    }
    given_away = []
    for column, score in scores.items():
        if score > GIVEN_AWAY:
            measure = "R²" if task is MlTask.REGRESSION else "AUC"
            roles.discard(column, f"gives {target} away: {measure} {score:.3f} from this column alone")
            note = (
                f"{column} alone predicts {target} almost perfectly ({measure} {score:.3f}), so it is a "
                "leak: surely it is only known "
                "afterwards. It is in data.drop."
            )
            given_away.append((column, note))
    notes = of_columns(given_away)
    if task is MlTask.REGRESSION:
        notes += _discard_sum(rows, target, answers, roles)
    return notes + _suspicious(scores, target, roles)


def _answers(values: "pl.Series", task: MlTask) -> "np.ndarray":
    import numpy as np
    import polars as pl

    numbers = values if task is MlTask.REGRESSION else values.cast(pl.String).rank("dense")
    return np.asarray(numbers.cast(pl.Float64))


def _score(features: "np.ndarray", answers: "np.ndarray", task: MlTask) -> float:
    import numpy as np
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    known, asked = slice(0, None, 2), slice(1, None, 2)
    if task is MlTask.REGRESSION:
        tree = DecisionTreeRegressor(max_leaf_nodes=256, min_samples_leaf=5, random_state=0).fit(
            features[known], answers[known]
        )
        return float(r2_score(answers[asked], tree.predict(features[asked])))
    tree = DecisionTreeClassifier(max_leaf_nodes=64, min_samples_leaf=5, random_state=0).fit(
        features[known], answers[known]
    )
    chances = tree.predict_proba(features[asked])
    areas = [
        roc_auc_score(answers[asked] == label, chances[:, index])
        for index, label in enumerate(tree.classes_)
        if 0 < np.count_nonzero(answers[asked] == label) < len(answers[asked])
    ]
    return float(np.mean(areas)) if areas else 0.5


def _discard_sum(rows: "pl.DataFrame", target: str, answers: "np.ndarray", roles: Roles) -> list[str]:
    """Find few columns of which the target is a weighted sum, adding the most useful one at a time."""
    import numpy as np

    numeric = [
        column for column in roles.features if kind_of(rows.schema[column]) in NUMERIC and not rows[column].null_count()
    ]
    values = dict(zip(numeric, matrix(rows, numeric).T, strict=True))
    chosen: list[str] = []
    spread = float(np.sum((answers - answers.mean()) ** 2))
    while len(chosen) < min(SUM_COLUMNS, len(numeric)) and spread:
        explained = {
            column: _explained([values[c] for c in (*chosen, column)], answers, spread)
            for column in numeric
            if column not in chosen
        }
        best = max(explained, key=lambda column: explained[column])
        chosen.append(best)
        if explained[best] > EXACT:
            for column in chosen:
                roles.discard(column, f"{target} is a weighted sum of {' and '.join(chosen)}")
            return [
                f"{target} is a sum of {' and '.join(chosen)} (R² {explained[best]:.4f}), so they leak it: "
                "whoever knows them knows the answer. "
                "They are in data.drop."
            ]
    return []


def _explained(columns: "list[np.ndarray]", answers: "np.ndarray", spread: float) -> float:
    import numpy as np

    features = np.column_stack([*columns, np.ones(len(answers))])
    weights = np.linalg.lstsq(features, answers, rcond=None)[0]
    return 1 - float(np.sum((answers - features @ weights) ** 2)) / spread


def _suspicious(scores: dict[str, float], target: str, roles: Roles) -> list[str]:
    strong, weak = [], []
    left = {column: score for column, score in scores.items() if column in roles.features}
    strongest = max(left.values(), default=0.0)
    for column, score in left.items():
        named = target.lower() in re.split(r"[^a-z0-9]+", column.lower()) or KNOWN_AFTERWARDS.search(column)
        if not named:
            continue
        if score > max(STRONG, strongest - NEARLY_STRONGEST):
            roles.discard(
                column,
                "its name and its strength say that it is only known afterwards; remove it here if that is wrong",
            )
            note = (
                f"{column} is one of the strongest single columns ({score:.2f}) and, by its name, only known "
                "afterwards. It is in data.drop; take it out there if it is known when the model is asked."
            )
            strong.append((column, note))
        else:
            weak.append((column, f"{column} may only be known afterwards, by its name. If so, add it to data.drop."))
    return [*of_columns(strong), *of_columns(weak)]
