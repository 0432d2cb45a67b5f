"""All trainings of a replay, wherever they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from understudy.stages.replay.history import History
from understudy.stages.replay.memory import read_training
from understudy.stages.replay.training import Training


class Trainings(Protocol):
    """Give the training at each moment of the grid."""

    def __getitem__(self, place: int) -> Training:
        """Give one."""
        ...


class KeptTrainings:
    """Read trainings from disk when they are asked for, each once."""

    def __init__(self, folder: Path, history: History, code: Path | None) -> None:
        self.folder, self.history, self.code = folder, history, code
        self._read: dict[int, Training] = {}

    def __getitem__(self, place: int) -> Training:
        """Give the training at a place."""
        if place not in self._read:
            self._read[place] = read_training(self.folder, place, self.history, self.code)
        return self._read[place]
