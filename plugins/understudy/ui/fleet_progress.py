"""How trials do, for the fleet: gateways are asked in the background, so that none of them holds up the page."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from understudy.contract.errors import UnderstudyError
from understudy.hooks.connect import connect
from understudy.overview.glance import Glance
from understudy.ui.progress import declaration, progress

PATIENCE_S = 0.3
"""How long a page waits for trials of which nothing is known yet; what comes later is shown by the next one."""
FRESH_S = 30.0
ASKED_AT_ONCE = 4


class Trial(NamedTuple):
    """Name what is tried: a newer record of the model is another trial."""

    model: str
    epoch: int


class Heard(NamedTuple):
    """Remember what was said of a trial, and when by the clock."""

    told: str
    at_s: float


class TrialsAsked:
    """Remember how trials do, and ask again when that is old.

    :param ask: says in short how the trial of a model does; may take its time.
    """

    def __init__(
        self,
        ask: Callable[[str], str],
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._patience_s, self._clock = ask, patience_s, clock
        self._pool = ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="trials")
        self._lock = Lock()
        self._heard: dict[str, tuple[Trial, Heard]] = {}
        self._asking: dict[Trial, Future[None]] = {}

    def told(self, trials: Iterable[Trial]) -> dict[str, str]:
        """Say how trials do, by their models; those that nobody has answered for yet are left out."""
        wanted = tuple(trials)
        with self._lock:
            for trial in wanted:
                heard = self._of(trial)
                is_old = heard is None or self._clock() - heard.at_s >= FRESH_S
                if is_old and trial not in self._asking:
                    self._asking[trial] = self._pool.submit(self._look, trial)
            unknown = [self._asking[trial] for trial in wanted if trial in self._asking and self._of(trial) is None]
        wait(unknown, self._patience_s)
        with self._lock:
            return {trial.model: heard.told for trial in wanted if (heard := self._of(trial)) is not None}

    def _of(self, trial: Trial) -> Heard | None:
        asked, heard = self._heard.get(trial.model, (None, None))
        return heard if asked == trial else None

    def _look(self, trial: Trial) -> None:
        with self._answering(trial):
            heard = Heard(self._ask(trial.model), self._clock())
            with self._lock:
                self._heard[trial.model] = (trial, heard)

    @contextmanager
    def _answering(self, trial: Trial) -> Iterator[None]:
        try:
            yield
        except UnderstudyError:
            pass  # the page of the model says what is wrong; here the next one asks again
        finally:
            with self._lock:
                self._asking.pop(trial, None)


def with_progress(models: Iterable[Glance], asked: TrialsAsked) -> tuple[Glance, ...]:
    """Say of each model how what is tried beside its champion does."""
    shown = tuple(models)
    told = asked.told(Trial(one.model, one.champion.epoch) for one in shown if one.beside and one.champion)
    return tuple(one.model_copy(update={"progress": told.get(one.model, "")}) for one in shown)


@lru_cache(maxsize=1)
def trials_asked() -> TrialsAsked:
    """Give what this process knows of trials."""
    return TrialsAsked(_ask)


def _ask(model: str) -> str:
    hooks = connect()
    history = hooks.deployments.history(model)
    found = progress(hooks, history, declaration(hooks, model), datetime.now(timezone.utc))
    return found.short if found else ""
