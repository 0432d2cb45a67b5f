"""Why a stage's task ends without a result, sorted by what the scheduler must do."""

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from understudy.contract.errors import UnderstudyError


class StageRefused(UnderstudyError, AirflowFailException):
    """The stage refused its input, and would refuse it again: no retry."""

    def __init__(self, stage: str, message: str, field: str | None) -> None:
        self.stage, self.message, self.field = stage, message, field
        about = f" ({field})" if field and field not in message else ""
        super().__init__(f"Stage {stage!r} refused its input{about}: {message}")


class StageSetAside(UnderstudyError, AirflowSkipException):
    """The stage refused its input, and a later task of the same DAG reports it as the run's outcome."""

    def __init__(self, refused: StageRefused) -> None:
        super().__init__(str(refused))


class LookImpossible(UnderstudyError, AirflowSkipException):
    """Something cannot be measured in this look; what decides at its end says so."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"Not measured: {problem}")


class StageOutOfMemory(UnderstudyError, AirflowFailException):
    """The stage hit its memory limit, and would hit it again: no retry."""

    def __init__(self, stage: str, memory: str) -> None:
        self.stage, self.memory = stage, memory
        super().__init__(
            f"Stage {stage!r} needed more than its memory limit of {memory} and was ended. Raise "
            f"stages.{stage}.memory or runtime.memory in model.yaml, or train on fewer rows."
        )


class StageTimedOut(UnderstudyError):
    """The stage ran longer than it may; it was ended and removed."""

    def __init__(self, stage: str, timeout: str) -> None:
        self.stage, self.timeout = stage, timeout
        super().__init__(
            f"Stage {stage!r} ran longer than its time limit of {timeout} and was ended. Raise "
            f"stages.{stage}.timeout or runtime.timeout in model.yaml."
        )


class StageBroken(UnderstudyError):
    """The stage failed in a way that another try may cure."""

    def __init__(self, stage: str, exit_code: int | None, last_words: str) -> None:
        self.stage, self.exit_code = stage, exit_code
        said = f" Its last words: {last_words}" if last_words else ""
        super().__init__(f"Stage {stage!r} broke with exit code {exit_code}; its log is above.{said}")


class StageVanished(UnderstudyError):
    """Somebody removed the stage's container or process while it was watched."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        super().__init__(f"Stage {stage!r} is gone: it was killed or removed from outside. A retry starts it afresh.")


class ResultUnusable(UnderstudyError):
    """The stage's answer is not what was asked for."""

    def __init__(self, stage: str, problem: str) -> None:
        self.stage = stage
        super().__init__(
            f"The result of stage {stage!r} cannot be used: {problem}. Is its image older or newer than the "
            "library that Airflow runs?"
        )


class InputUnusable(UnderstudyError, AirflowFailException):
    """An input of a task names no file of the workspace."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(
            f"Input {name!r} cannot be used: {problem}. Give a path relative to the workspace, or what an "
            "upstream task returned as an output."
        )


class InputLeadsOut(UnderstudyError, AirflowFailException):
    """A folder that a stage is given holds a link out of it, and will hold it at the next try."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"Input {name!r} cannot be used: {problem}")


class BadMoment(UnderstudyError, AirflowFailException):
    """The form's as-of time cannot be read."""

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(
            f"as_of {value!r} is not a time; write for example 2026-11-21T03:00:00+00:00, or leave it empty."
        )
