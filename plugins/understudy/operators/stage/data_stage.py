"""A task about the window of a run: what ends it when its stage refuses the data."""

from typing import Any

from understudy.operators.stage.stage import StageOperator
from understudy.operators.stage_errors import StageRefused, StageSetAside


class DataStageOperator(StageOperator):
    """Run a stage about the window of a run; what it refuses fails the task, or skips it and everything below.

    :param model: the declared model.
    :param skip_on_refusal: whether a later task reports the refusal.
    """

    def __init__(self, *, model: str, skip_on_refusal: bool = False, **kwargs: Any) -> None:
        super().__init__(model=model, **kwargs)
        self.skip_on_refusal = skip_on_refusal

    def refusal(self, refused: StageRefused) -> Exception:
        """Skip where a later task reports it, so that a refusal is told from a crash before anything is opened."""
        return StageSetAside(refused) if self.skip_on_refusal else refused
