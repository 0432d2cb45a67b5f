"""A real request whose answer shows which version serves."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Lagging
from understudy.contract.serving_target import ServingTarget
from understudy.hooks.places.errors import TargetRefused, TargetUnreachable

FACTS = "understudy.json"
EXAMPLE = "serving_input_example.json"
PAUSE_S = 0.25


def example_in(folder: Path) -> bytes | None:
    """Read the request that MLflow stored with a model; None where there is none that a client could send.

    A model with ``prepare`` code stored what that code made of the request, which is no request.
    """
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        example = (folder / EXAMPLE).read_bytes()
    except (OSError, ValueError):
        return None
    return None if not isinstance(facts, dict) or facts.get("prepare") else example


@dataclass(frozen=True)
class Probe:
    """Say what the answer must show."""

    model: str
    version: int
    epoch: int
    """Later ones are right as well: somebody wrote a newer record meanwhile."""
    body: bytes | None

    def problem_at(self, target: ServingTarget, within_s: float) -> Lagging | None:
        """Ask one place until it answers or the time is over; return what is wrong with the answer."""
        deadline = time.monotonic() + within_s
        while True:
            is_last = time.monotonic() + PAUSE_S >= deadline
            try:
                answered = target.probe(self.model, self.body, max(deadline - time.monotonic(), 0.1))
            except TargetUnreachable as unreachable:
                if is_last:
                    return Lagging(gateway=target.name, problem=unreachable.cause)
            except TargetRefused as refused:
                return Lagging(gateway=target.name, problem=refused.problem)
            except UnderstudyError as problem:
                return Lagging(gateway=target.name, problem=str(problem))
            else:
                if answered.epoch > self.epoch or (answered.version, answered.epoch) == (self.version, self.epoch):
                    return None
                told = f"a probe request was answered by version {answered.version}, epoch {answered.epoch}"
                return Lagging(gateway=target.name, problem=told, epoch=answered.epoch)
            time.sleep(PAUSE_S)
