"""All places that serve a model, asked at once."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from understudy.contract.errors import UnderstudyError
from understudy.contract.live.rehearsal import merged
from understudy.contract.serving import (
    Acknowledgement,
    Confirmation,
    Lagging,
    ModelStatus,
    PrepareOrder,
    RehearsalQuery,
    RehearsalReport,
    ServingOrder,
)
from understudy.contract.serving_target import RehearsingTarget, ServingTarget
from understudy.contract.target_class import can_rehearse
from understudy.hooks.places.errors import CannotRehearse, TargetIsAhead, TargetRefused, TargetUnreachable
from understudy.hooks.places.probe import Probe, example_in

ASK_S = 10.0
PREPARE_S = 120.0
WAIT_S = 30.0
REHEARSAL_S = 120.0
PAUSE_S = 0.25
"""Between two attempts at a place that does not answer."""
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Places:
    """Steer all places that serve a model: replicas of our gateway, or what is declared instead of them.

    :param bundles: where verified copies of the versions lie; below the deployment's home when absent.
    """

    def __init__(self, targets: Sequence[ServingTarget], bundles: Path | None = None) -> None:
        self.targets = tuple(targets)
        self._bundles = bundles

    @property
    def names(self) -> tuple[str, ...]:
        """Name the places, in the order of all answers."""
        return tuple(target.name for target in self.targets)

    def prepare(self, order: PrepareOrder, within_s: float = PREPARE_S) -> None:
        """Have every place load a version and keep it warm.

        :raises TargetRefused: where one cannot load, verify or warm it up.
        :raises UnderstudyError: where one cannot be asked, or cannot be given the files.
        """

        def prepare(target: ServingTarget) -> UnderstudyError | None:
            try:
                target.prepare(order, within_s)
            except UnderstudyError as problem:
                return problem
            return None

        problems = [problem for problem in at_once(prepare, self.targets) if problem is not None]
        # A no is final, whatever else happened.
        for problem in sorted(problems, key=lambda problem: not isinstance(problem, TargetRefused)):
            raise problem

    def apply(self, order: ServingOrder, within_s: float = WAIT_S) -> Confirmation:
        """Have every place serve a record; ask one that does not answer again until the time is over."""
        deadline = time.monotonic() + within_s

        def serve(target: ServingTarget) -> Acknowledgement | Lagging:
            return or_lagging(target.name, lambda left_s: target.serve(order, left_s), deadline)

        answers = at_once(serve, self.targets)
        return Confirmation(
            acks=tuple(answer for answer in answers if isinstance(answer, Acknowledgement)),
            lagging=tuple(answer for answer in answers if isinstance(answer, Lagging)),
        )

    def status(self, model: str, timeout_s: float = ASK_S) -> tuple[ModelStatus | Lagging, ...]:
        """Ask every place what it serves."""

        def status(target: ServingTarget) -> ModelStatus | Lagging:
            try:
                return target.status(model, timeout_s)
            except UnderstudyError as problem:
                return Lagging(gateway=target.name, problem=str(problem))

        return tuple(at_once(status, self.targets))

    def probe(
        self, model: str, version: int, epoch: int, example: bytes | None = None, within_s: float = ASK_S
    ) -> tuple[Lagging, ...]:
        """Send every place a real request; return those whose answer is not the version's at that epoch or later.

        :param example: the body of the request; by default the input example that lies with the version's files.
        """
        body = example if example is not None else example_in(self.bundles() / model / str(version))
        probe = Probe(model=model, version=version, epoch=epoch, body=body)
        problems = at_once(lambda target: probe.problem_at(target, within_s), self.targets)
        return tuple(problem for problem in problems if problem is not None)

    def rehearsal(self, model: str, query: RehearsalQuery, within_s: float = REHEARSAL_S) -> RehearsalReport:
        """Add up what all places know of two versions; a missing one is an error, not a smaller sum.

        :raises TargetUnreachable, CannotRehearse, RehearsalsDiffer: where there is no such sum.
        """
        able: list[RehearsingTarget] = []
        for target in self.targets:
            if not can_rehearse(target):
                raise CannotRehearse(target.name)
            able.append(target)
        return merged(at_once(lambda target: target.rehearsal(model, query, within_s), able))

    def bundles(self) -> Path:
        """Say where verified copies of the versions lie."""
        if self._bundles is None:
            from understudy.settings import settings

            self._bundles = settings().home / "bundles"
        return self._bundles


def at_once(ask: Callable[[Asked], Answer], places: Sequence[Asked]) -> list[Answer]:
    """Ask all places at the same time; return their answers in the same order."""
    if len(places) == 1:
        return [ask(places[0])]
    with ThreadPoolExecutor(max(len(places), 1), thread_name_prefix="place") as pool:
        return list(pool.map(ask, places))


def or_lagging(name: str, ask: Callable[[float], Answer], deadline: float) -> Answer | Lagging:
    """Ask, with the seconds that are left, until a place answers or the time is over; say why it does not do as asked.

    :param deadline: by the monotonic clock.
    """
    while True:
        try:
            return ask(max(deadline - time.monotonic(), 0.1))
        except TargetUnreachable as unreachable:
            # It may be starting anew: what it served last, it serves again at once, and it can be asked again.
            if time.monotonic() + PAUSE_S >= deadline:
                return Lagging(gateway=name, problem=unreachable.cause)
            time.sleep(PAUSE_S)
        except (TargetIsAhead, TargetRefused) as refused:
            return Lagging(gateway=name, problem=refused.problem)
        except UnderstudyError as problem:
            return Lagging(gateway=name, problem=str(problem))
