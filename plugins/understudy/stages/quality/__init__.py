"""How well a champion answers now."""

from understudy.stages.quality.stage import run

__all__ = ["run"]
