"""How the columns of collected rows are called that are no features: the log's own, and what was answered."""

FEATURE = "x_"
"""What a feature's name begins with in the prediction log."""
OWN = ("at", "request_id", "client_id", "row", "version", "prediction", "probabilities", "classes", "label", "label_at")


def own_name(column: str) -> str:
    """Name one of the log's own columns so that no feature can be called the same by accident."""
    return f"__{column}"
