"""The types that a stored model may hold beyond skops' own defaults. The list is ours, never the model's."""

TRUSTED_TYPES = (
    "functools.partial",  # what it calls is checked against this list like everything else
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
