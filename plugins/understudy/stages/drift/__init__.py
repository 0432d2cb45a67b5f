"""How far live data lie from what a champion was trained on."""

from understudy.stages.drift.stage import run

__all__ = ["run"]
