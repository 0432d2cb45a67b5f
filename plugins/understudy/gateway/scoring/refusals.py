"""The ways a request can be refused. A message never repeats what the caller sent: it may be personal."""

from understudy.contract.errors import UnderstudyError


class RequestRefused(UnderstudyError):
    """A request cannot be scored, and sending it again will not help."""

    status = 400
    code = "BAD_REQUEST"


class RequestUnreadable(RequestRefused):
    """A body is not what its protocol asks for."""


class ColumnMissing(RequestRefused):
    """A column that the model needs was not sent."""

    def __init__(self, column: str) -> None:
        super().__init__(
            f"The rows lack the column {column!r}, which the model needs. Send every column, with null where a value "
            "is unknown."
        )


class ValueUnusable(RequestRefused):
    """A value is not of its column's kind."""

    code = "INVALID_PARAMETER_VALUE"

    def __init__(self, column: str, kind: str) -> None:
        super().__init__(f"The column {column!r} holds a value that is not {kind}. Correct it, or send null.")


class TooManyRows(RequestRefused):
    """A request has more rows than the model's declaration allows."""

    status = 413
    code = "INVALID_PARAMETER_VALUE"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The request has more than {most:,} rows. Send fewer at a time, or raise serving.max_rows in model.yaml."
        )


class PrepareFailed(RequestRefused):
    """The model's own ``prepare`` function stumbled over the rows."""

    def __init__(self) -> None:
        super().__init__(
            "The model's data.prepare cannot handle these rows. Send the columns as they are in the training data."
        )


class AnswerUnusable(UnderstudyError):
    """A model raised, or answered what is no answer, although nothing is wrong with the rows."""

    status = 500
    code = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__(
            "The model failed on these rows, which are well-formed. Its owner finds the request in the prediction log."
        )
