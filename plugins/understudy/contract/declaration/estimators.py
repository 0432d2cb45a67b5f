"""The built-in estimators: short names and where scikit-learn keeps them."""

from understudy.contract.declared import Fact
from understudy.contract.words import MlTask


class Estimator(Fact):
    """Name a scikit-learn class; ``needs_scaling`` adds a scaler for numbers and one-hot encoding for categories."""

    name: str
    path: str
    is_classifier: bool
    is_linear: bool = False
    needs_scaling: bool = False
    takes_seed: bool = True


_ESTIMATORS = (
    Estimator(
        name="hist_gradient_boosting", path="sklearn.ensemble:HistGradientBoostingClassifier", is_classifier=True
    ),
    Estimator(name="random_forest", path="sklearn.ensemble:RandomForestClassifier", is_classifier=True),
    Estimator(name="extra_trees", path="sklearn.ensemble:ExtraTreesClassifier", is_classifier=True),
    Estimator(name="decision_tree", path="sklearn.tree:DecisionTreeClassifier", is_classifier=True),
    Estimator(
        name="logistic_regression",
        path="sklearn.linear_model:LogisticRegression",
        is_classifier=True,
        is_linear=True,
        needs_scaling=True,
    ),
    Estimator(name="dummy", path="sklearn.dummy:DummyClassifier", is_classifier=True, is_linear=True),
    Estimator(
        name="hist_gradient_boosting", path="sklearn.ensemble:HistGradientBoostingRegressor", is_classifier=False
    ),
    Estimator(name="random_forest", path="sklearn.ensemble:RandomForestRegressor", is_classifier=False),
    Estimator(name="extra_trees", path="sklearn.ensemble:ExtraTreesRegressor", is_classifier=False),
    Estimator(name="decision_tree", path="sklearn.tree:DecisionTreeRegressor", is_classifier=False),
    Estimator(name="ridge", path="sklearn.linear_model:Ridge", is_classifier=False, is_linear=True, needs_scaling=True),
    Estimator(name="dummy", path="sklearn.dummy:DummyRegressor", is_classifier=False, is_linear=True, takes_seed=False),
)


def estimators_for(task: MlTask) -> dict[str, Estimator]:
    """Map the names that a model of this task may use."""
    return {e.name: e for e in _ESTIMATORS if e.is_classifier == task.is_classification}
