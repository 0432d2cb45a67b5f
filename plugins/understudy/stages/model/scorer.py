"""A fitted model that answers raw rows: the one path that training, evaluation and serving share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from understudy.contract.declared import Fact
from understudy.contract.words import MlTask
from understudy.stages.model.features import Features
from understudy.stages.model.prepare import Prepare, apply_prepare
from understudy.stages.window import Array


class ModelFacts(Fact):
    """Hold what ``understudy.json`` in a model's folder says, so that nothing about it must be guessed."""

    schema_version: Literal[1] = 1
    model: str
    estimator: str
    task: MlTask
    target: str
    features: Features
    inputs: tuple[str, ...]
    """The columns that a caller sends; they equal the features where there is no prepare."""
    classes: tuple[bool | int | str, ...] = ()
    """In the order of the probabilities; the second of two is the positive one."""
    prepare: str | None = None
    decision_threshold: float | None = None
    """From which probability on the positive class is answered; the likelier class when absent."""
    is_linear: bool = False
    storage: Literal["skops", "cloudpickle"] = "skops"
    train_end: datetime | None = None
    holdout_below: float | None = None
    """For undated rows: rows placed below were kept from training (see row_hash.py)."""
    libraries: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Scorer:
    """Answer rows with a fitted model."""

    facts: ModelFacts
    model: Any
    prepare: Prepare | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Name the features in order."""
        return self.facts.features.names

    @property
    def classes(self) -> tuple[bool | int | str, ...]:
        """Name the classes in the order of the probabilities; empty for a regression."""
        return self.facts.classes

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Prepare raw rows and select and type the features."""
        return self.facts.features.of(apply_prepare(self.prepare, frame, self.facts.inputs))

    def predict(self, frame: pd.DataFrame) -> Array:
        """Answer raw rows with a class or a number each."""
        return self.answer(self.typed(frame))

    def predict_proba(self, frame: pd.DataFrame) -> Array | None:
        """Give the probability of each class for raw rows; None where the model has none."""
        return self.probabilities(self.typed(frame))

    def answer(self, typed: pd.DataFrame) -> Array:
        """Answer rows that :meth:`typed` has made."""
        if self.facts.decision_threshold is not None:
            scores = self.probabilities(typed)
            if scores is not None:
                chosen: Array = np.asarray(self.classes)[(scores[:, 1] >= self.facts.decision_threshold).astype(int)]
                return chosen
        return np.asarray(self.model.predict(typed)).reshape(len(typed))

    def probabilities(self, typed: pd.DataFrame) -> Array | None:
        """Give the probabilities for rows that :meth:`typed` has made, one column for each of :attr:`classes`."""
        if not self.classes or not hasattr(self.model, "predict_proba"):
            return None
        given = np.asarray(self.model.predict_proba(typed), dtype=np.float64)
        order = [str(label) for label in getattr(self.model, "classes_", self.classes)]
        columns = [order.index(str(label)) if str(label) in order else None for label in self.classes]
        empty = np.zeros(len(given))
        return np.column_stack([empty if c is None else given[:, c] for c in columns])
