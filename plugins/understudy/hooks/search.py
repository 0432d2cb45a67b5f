"""The hyperparameter search: Optuna's ask and tell over a journal file with one writer.

Trial containers know neither Optuna nor its storage; only the ask and the tell tasks touch the journal, one after the
other, so no lock is ever contended.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from understudy.contract.declaration.search_space import Choice, FloatRange, SearchRange
from understudy.contract.declaration.train import TrainSpec
from understudy.contract.errors import UnderstudyError
from understudy.contract.judgement import is_usable
from understudy.contract.metrics import METRICS
from understudy.contract.reports import TrialReport

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution


CAME_BACK = "came_back"
"""Which lost trial was tried again with success."""


class EveryTrialLost(UnderstudyError):
    """No trial of a search came back with a value."""

    def __init__(self, model: str, asked: int, refusals: Sequence[str] = ()) -> None:
        lost = f"None of the {asked} trials of {model!r} came back with a usable value"
        if refusals:
            first = refusals[0].rstrip(".")
            super().__init__(f"{lost}: {first}. Correct that and start a new run; this one keeps its declaration.")
            return
        super().__init__(
            f"{lost}; the log of a trial task tells why. Clear the trials to try the same points again, or start a new "
            "run where something in the declaration has to change."
        )


def rounds(train: TrainSpec) -> tuple[int, ...]:
    """Split the budget into rounds of at most ``parallelism`` trials; empty without a search space."""
    if not train.search:
        return ()
    full, rest = divmod(train.budget, train.parallelism)
    return (train.parallelism,) * full + ((rest,) if rest else ())


class Search:
    """Search one run's hyperparameters; the journal file is the audit trail."""

    def __init__(self, journal: Path, model: str, train: TrainSpec, metric: str) -> None:
        self.journal, self.model, self.train, self.metric = journal, model, train, metric

    def ask(self, count: int, round_number: int, first: Mapping[str, JsonValue] | None = None) -> list[dict[str, Any]]:
        """Propose ``count`` points; ``first`` is tried before any of them where it fits the space.

        Asking again for the same round (a retried task) returns the same points.
        """
        study = self._study(round_number)
        asked = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get("round") == round_number]
        if not asked and first is not None and set(first) == set(self.train.search):
            study.enqueue_trial(dict(first), skip_if_exists=True)
        space = {name: _distribution(searched) for name, searched in sorted(self.train.search.items())}
        points = [{"number": t.number, "params": dict(t.params)} for t in asked]
        while len(points) < count:
            trial = study.ask(fixed_distributions=space)
            trial.set_user_attr("round", round_number)
            points.append({"number": trial.number, "params": dict(trial.params)})
        return points

    def tell(self, reports: Iterable[TrialReport]) -> None:
        """Record what came back and give up the trials that did not; one that comes back later counts after all."""
        from optuna.trial import TrialState, create_trial

        study = self._study(0)
        values = {r.number: r.value for r in reports if is_usable(r.value)}
        trials = study.get_trials(deepcopy=False)
        came_back = {trial.user_attrs.get(CAME_BACK) for trial in trials}
        for trial in trials:
            value = values.get(trial.number)
            if trial.state is TrialState.RUNNING:
                study.tell(trial.number, value, state=TrialState.COMPLETE if value is not None else TrialState.FAIL)
            elif trial.state is TrialState.FAIL and value is not None and trial.number not in came_back:
                # What Optuna was told of a trial is final, so the same point stands there once more.
                mark = {CAME_BACK: trial.number}
                point = create_trial(
                    value=value, params=trial.params, distributions=trial.distributions, user_attrs=mark
                )
                study.add_trial(point)

    def best(self, refusals: Sequence[str] = ()) -> dict[str, JsonValue]:
        """Return the best point; ``refusals`` are what lost trials said.

        :raises EveryTrialLost: when no trial has a value.
        """
        from optuna.trial import TrialState

        study = self._study(0)
        if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            raise EveryTrialLost(self.model, len(study.get_trials(deepcopy=False)), refusals)
        return dict(study.best_params)

    def _study(self, round_number: int) -> "Study":
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        return optuna.create_study(
            study_name=self.model,
            storage=JournalStorage(JournalFileBackend(str(self.journal))),
            # A new process forgets the sampler's state, so that each round has its own seed.
            sampler=optuna.samplers.TPESampler(
                seed=self.train.seed + round_number, constant_liar=True, n_startup_trials=4
            ),
            direction="maximize" if METRICS[self.metric].greater_is_better else "minimize",
            load_if_exists=True,
        )


def _distribution(searched: SearchRange) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(searched, Choice):
        return CategoricalDistribution(searched.choices)
    if isinstance(searched, FloatRange):
        return FloatDistribution(searched.low, searched.high, log=searched.log)
    return IntDistribution(searched.low, searched.high, step=searched.step)
