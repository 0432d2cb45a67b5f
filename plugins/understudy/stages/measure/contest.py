"""The rows that challenger, champion and references answer, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import Comparison
from understudy.stages.context import Refused
from understudy.stages.measure.answers import Answers, all_classes, ask, no_change
from understudy.stages.measure.blocks import Blocks, random_blocks, time_blocks
from understudy.stages.measure.compare import compare
from understudy.stages.measure.metrics import measured_metrics
from understudy.stages.measure.value import with_values
from understudy.stages.model.features import FeatureMissing
from understudy.stages.model.scorer import Scorer
from understudy.stages.window import Window


@dataclass(frozen=True)
class Contest:
    """Hold everything that is compared: the same rows, the same blocks, one set of answers for each model."""

    spec: ModelSpec
    holdout: Window
    blocks: Blocks
    challenger: Answers
    champion: Answers | None
    references: dict[str, Answers]
    yesterday: Answers | None
    """Repeats the label of the row before; starts with the second row. Only where rows are dated."""

    def comparisons(self) -> tuple[Comparison, ...]:
        """Compare challenger and champion by every quality metric."""
        return tuple(
            compare(name, self.challenger, self.champion, self.blocks, self.spec.evaluate.alpha).comparison
            for name in measured_metrics(self.spec)
        )

    def reference_comparisons(self) -> dict[str, Comparison]:
        """Compare the challenger with the references by the primary metric."""
        alpha, primary = self.spec.evaluate.alpha, self.spec.primary
        found = {
            name: compare(primary, self.challenger, answers, self.blocks, alpha).comparison
            for name, answers in self.references.items()
        }
        if self.yesterday is not None:
            later = np.arange(1, len(self.holdout))
            found["no_change"] = compare(
                primary, self.challenger.take(later), self.yesterday, self.blocks.take(later), alpha
            ).comparison
        return found


def hold_contest(
    spec: ModelSpec,
    holdout: Window,
    challenger: Scorer,
    champion: Scorer | None,
    *,
    references: dict[str, Scorer],
    code: Path | None,
) -> Contest:
    """Let every model answer the same rows.

    :raises Refused: where the champion needs a column that the data no longer have.
    """
    scorers = [challenger, *([champion] if champion else []), *references.values()]
    classes = all_classes(holdout, scorers)

    def answers(scorer: Scorer) -> Answers:
        return with_values(ask(scorer, holdout, classes), spec, code)

    try:
        champions = answers(champion) if champion else None
    except FeatureMissing as gone:
        raise Refused(
            f"The champion cannot answer the holdout: the data no longer have its feature {gone.feature!r}. Bring the "
            "column back, or remove the champion's alias to start anew",
            "data.source",
        ) from gone
    if holdout.times is None:
        blocks, yesterday = random_blocks(len(holdout), spec.train.seed), None
    else:
        blocks = time_blocks(holdout.times, spec.evaluate.block)
        yesterday = with_values(no_change(holdout, classes, spec.task), spec, code)
    return Contest(
        spec,
        holdout,
        blocks,
        answers(challenger),
        champions,
        {name: answers(scorer) for name, scorer in references.items()},
        yesterday,
    )
