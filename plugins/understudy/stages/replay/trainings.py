"""All trainings of a replay, read from disk when they are asked for."""

from __future__ import annotations

from pathlib import Path

from understudy.stages.replay.history import History
from understudy.stages.replay.memory import read_training
from understudy.stages.replay.training import Training


class Trainings:
    """Give the training at each moment of the grid; each is read once."""

    def __init__(self, folder: Path, history: History, code: Path | None) -> None:
        self.folder, self.history, self.code = folder, history, code
        self._read: dict[int, Training] = {}

    def __getitem__(self, place: int) -> Training:
        if place not in self._read:
            self._read[place] = read_training(self.folder, place, self.history, self.code)
        return self._read[place]
