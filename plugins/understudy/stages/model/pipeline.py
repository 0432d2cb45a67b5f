"""The one scikit-learn pipeline that holds encoding, imputation and the estimator."""

from collections.abc import Collection
from importlib import import_module
from typing import Any

from pydantic import JsonValue

from understudy.contract.declaration.estimators import Estimator
from understudy.contract.suggest import nearest
from understudy.stages.context import Refused
from understudy.stages.model.features import Features

MAX_LEVELS = 254  # histogram boosting has 255 bins, one of which is for missing values
MAX_COLUMNS_PER_TEXT = 50
OURS: dict[str, dict[str, Any]] = {
    "logistic_regression": {"max_iter": 1000},  # the default of 100 stops before convergence on most tables
}


def build_pipeline(
    estimator: Estimator,
    features: Features,
    params: dict[str, JsonValue],
    seed: int,
    searched: Collection[str] = (),
) -> Any:
    """Put encoding and imputation before an estimator; the input is the frame of :meth:`Features.of`.

    :param searched: the parameters that ``train.search`` names, which the others stand in ``train.params`` beside.
    :raises Refused: for a parameter that the estimator does not have.
    """
    from sklearn.pipeline import Pipeline

    module, _, name = estimator.path.partition(":")
    kind = getattr(import_module(module), name)
    known = kind().get_params()
    for param in params:
        if param not in known:
            field = f"train.{'search' if param in searched else 'params'}.{param}"
            raise Refused(f"{field}: {estimator.name} has no such parameter{nearest(param, known)}", field)
    settings: dict[str, Any] = {**OURS.get(estimator.name, {}), **params}
    if estimator.takes_seed:
        settings.setdefault("random_state", seed)
    if estimator.name == "hist_gradient_boosting":
        # The encoder puts the categories first.
        settings.setdefault("categorical_features", list(range(len(features.texts))) or None)
    encoding = _scaled(features) if estimator.needs_scaling else _ordinal(features)
    return Pipeline([("encoding", encoding), ("estimator", kind(**settings))])


def _ordinal(features: Features) -> Any:
    """Turn categories into numbers, unknown ones into missing; trees take missing numbers as they are."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    nan = float("nan")
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=nan, encoded_missing_value=nan, max_categories=MAX_LEVELS
    )
    return ColumnTransformer(
        [("texts", codes, list(features.texts)), ("numbers", "passthrough", list(features.numbers))]
    )


def _scaled(features: Features) -> Any:
    """Give each frequent category a column and all rare ones another; impute, flag and scale numbers."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    levels = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=10, max_categories=MAX_COLUMNS_PER_TEXT, sparse_output=False
    )
    numbers = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )
    return ColumnTransformer([("texts", levels, list(features.texts)), ("numbers", numbers, list(features.numbers))])
