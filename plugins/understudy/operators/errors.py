"""Why a task ends without a result. Refusals are never tried again: the same input would be refused again."""

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from understudy.contract.errors import UnderstudyError
from understudy.contract.words import Action


class _BadWindow(UnderstudyError):
    def __init__(self, model: str, sentence: str, evidence: str) -> None:
        super().__init__(f"The window of {model!r} was refused: {sentence}. The champion stays; evidence: {evidence}")


class WindowRefused(_BadWindow, AirflowFailException):
    """The sanity check refused a window of data."""


class WindowSetAside(_BadWindow, AirflowSkipException):
    """The sanity check refused a window, and a later task of the same DAG reports it as the run's outcome."""


class RetrainingHeldBack(UnderstudyError, AirflowSkipException):
    """Events ask for a retraining that an earlier run has done."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Nothing to do: {why}.")


class NothingToMonitor(UnderstudyError, AirflowFailException):
    """A declaration does not say how its model is watched."""

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(f"model.yaml of {model!r} {problem}; run `understudy check {model}` after the repair.")


class LooksInconclusive(UnderstudyError, AirflowFailException):
    """Look after look could not see anything."""

    def __init__(self, model: str, looks: int, sentence: str) -> None:
        super().__init__(f"{looks} looks in a row could not tell how {model!r} is doing. The last one: {sentence}")


class PromotionRefused(UnderstudyError, AirflowFailException):
    """A blessed challenger may not be promoted now."""

    def __init__(self, model: str, version: int, why: str) -> None:
        super().__init__(f"Version {version} of {model!r} was not promoted: {why} The champion stays.")


class PromotionHeld(UnderstudyError, AirflowSkipException):
    """A blessed challenger is not promoted because a person holds its model."""

    def __init__(self, version: int, why: str) -> None:
        super().__init__(f"Version {version} passed and is not promoted: {why}")


class ApprovalRefused(UnderstudyError, AirflowSkipException):
    """People were asked, and the answer was no."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


class ActRefused(UnderstudyError, AirflowFailException):
    """What a person asked for cannot be done."""

    def __init__(self, action: Action, model: str, why: str) -> None:
        super().__init__(f"{action} of {model!r}: {why}")


class RollbackRefused(UnderstudyError, AirflowFailException):
    """A rollback cannot be done."""

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"{model!r} was not rolled back: {why}")


class RunEndedBadly(UnderstudyError, AirflowFailException):
    """A retraining run ended with a refusal or a broken task."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


class GatewaysMissing(UnderstudyError, AirflowFailException):
    """A model is declared as served, and no gateway is known."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model!r} is declared as served, but no gateway is known here. Set AIRFLOW__UNDERSTUDY__GATEWAYS to the "
            "gateways' addresses (`understudy up` starts one and does that), or remove serving, shadow, canary and "
            "guard from its model.yaml."
        )


class RehearsalDeclined(UnderstudyError, AirflowSkipException):
    """A challenger did not show on live traffic what it had to."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


class ProbationBreached(UnderstudyError, AirflowFailException):
    """A new champion did worse than the one before and was taken back."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


class LabelsUndeclared(UnderstudyError, AirflowFailException):
    """A task is to fetch labels, and the declaration does not say from where."""

    def __init__(self, model: str) -> None:
        super().__init__(f"model.yaml of {model!r} has no monitor.labels. Say there where labels arrive.")


class NoLabelsYet(UnderstudyError, AirflowSkipException):
    """No file of labels is there yet."""

    def __init__(self, model: str, source: str) -> None:
        super().__init__(f"There are no labels of {model!r} yet: monitor.labels.source {source!r} matches no file")


class LabelsRefused(UnderstudyError, AirflowFailException):
    """A gateway does not take the labels; sending them again would change nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
