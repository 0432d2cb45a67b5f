"""How a rollback drill fails. None is tried again: its models are spent."""

from airflow.sdk.exceptions import AirflowFailException

from understudy.contract.errors import UnderstudyError


class BadModelUndetected(UnderstudyError, AirflowFailException):
    """A model that was made to be bad was not found out in time."""

    def __init__(self, sentence: str) -> None:
        super().__init__(
            f"The drill failed: {sentence}. A bad model would stay in production: check that the gateways' logs and "
            "labels can be read (`understudy doctor`), and drill again."
        )


class BadModelNotReversed(UnderstudyError, AirflowFailException):
    """A bad model was found out and not taken back in time."""

    def __init__(self, sentence: str) -> None:
        super().__init__(
            f"The drill failed: {sentence}. A rollback would come too late or not at all: check that every gateway "
            "answers and is not overloaded (`understudy doctor`), and drill again."
        )


class DrillSpent(UnderstudyError, AirflowFailException):
    """The models of a run have been drilled with already."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"The models of the drill {run} were used before, and what was rolled back is denied for ever. Trigger "
            "rollback_drill anew instead of clearing this task."
        )


class DrillStopped(UnderstudyError, AirflowFailException):
    """A person ended the drill."""

    def __init__(self) -> None:
        super().__init__("The drill was ended before it was over, so it says nothing. Trigger rollback_drill anew.")


class SandboxLeftBehind(UnderstudyError):
    """What a drill started could not be cleared away everywhere."""

    def __init__(self, problems: str) -> None:
        super().__init__(
            f"The drill's sandbox is still there: {problems}. Clear this task once the gateways answer; until then a "
            "model of the drill takes memory there, and nobody asks it."
        )
