"""What a monitor would have seen at a moment of the past, measured and judged by the monitor's own code."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import polars as pl

from understudy.contract.declaration.monitor import MonitorSpec
from understudy.contract.declaration.spec import RetrainSpec
from understudy.contract.judges.monitoring import judge_monitoring
from understudy.contract.monitoring import (
    Decision,
    DriftReport,
    MonitorReport,
    PastLook,
    QualityReport,
)
from understudy.contract.monitoring import History as PastLooks
from understudy.contract.replay.policies import Policy
from understudy.contract.words import Verdict, Watched
from understudy.stages.drift.baseline import DriftBaseline, calibrate
from understudy.stages.drift.measure import measure_drift
from understudy.stages.measure.answers import Answers
from understudy.stages.quality.answered import answered
from understudy.stages.quality.measure import measure_quality
from understudy.stages.replay.history import History
from understudy.stages.replay.trainings import Trainings
from understudy.stages.replay.walk import Choice, Clockwork, Decider, Moment
from understudy.stages.window import Array


class Lookout:
    """Measure what a monitor would have measured; each pair of model and moment once, whichever policy asks.

    Only the classifier that tells two windows apart is left out: it costs more than all trainings together.
    """

    def __init__(self, history: History, trainings: Trainings) -> None:
        self.history, self.trainings = history, trainings
        self.monitor = history.spec.monitor or MonitorSpec()
        self._baselines: dict[int, DriftBaseline] = {}
        self._drifts: dict[tuple[int, int], DriftReport] = {}
        self._qualities: dict[tuple[int, int], QualityReport] = {}

    def report(self, moment: Moment, *, with_drift: bool) -> MonitorReport:
        """Look at the window before a moment.

        A policy that does not act on drift is spared its measuring, which takes nearly all of a look's time.
        """
        history, facts = self.history, self.trainings[moment.in_force].facts
        known = history.before(history.grid.known_until(moment.place))
        learnt = facts.trained_until - 1
        return MonitorReport(
            model=history.spec.model,
            watched=Watched.DATA,
            champion_version=moment.in_force,
            champion_since=history.grid.moments[moment.in_force],
            trained_until=self._time(learnt) if learnt >= 0 else None,
            as_of=moment.at,
            window_start=moment.at - self.monitor.window,
            window_end=moment.at,
            drift=self._drift(moment) if with_drift else None,
            quality=self._quality(moment),
            new_labels=max(0, known - facts.known_until),
        )

    def _time(self, row: int) -> datetime:
        moment: datetime = self.history.stamps[row].astype(datetime)
        return moment.replace(tzinfo=timezone.utc)

    def _drift(self, moment: Moment) -> DriftReport:
        pair = (moment.in_force, moment.place)
        if pair not in self._drifts:
            history = self.history
            start = history.before(moment.at - self.monitor.window)
            new = slice(max(start, self.trainings[moment.in_force].facts.known_until), history.before(moment.at))
            baseline = self._baseline(moment.in_force, new.stop - start)
            self._drifts[pair] = measure_drift(self._rows(new), baseline, is_multivariate=False).report
        return self._drifts[pair]

    def _baseline(self, place: int, window_rows: int) -> DriftBaseline:
        if place not in self._baselines:
            facts, spec = self.trainings[place].facts, self.history.spec
            self._baselines[place] = calibrate(
                self._rows(self.history.known(place)),
                facts.features,
                monitor=self.monitor,
                importance=facts.importance,
                window_rows=max(1, window_rows),
                time=spec.data.time,
                seed=spec.train.seed,
            )
        return self._baselines[place]

    def _rows(self, rows: slice) -> pl.DataFrame:
        return pl.from_pandas(self.history.window.frame.iloc[rows])

    def _quality(self, moment: Moment) -> QualityReport:
        pair = (moment.in_force, moment.place)
        if pair not in self._qualities:
            history, training = self.history, self.trainings[moment.in_force]
            until = history.grid.known_until(moment.place)
            new = training.rows[training.rows >= training.facts.known_until]
            start, labelled, end = (history.before(at) for at in (until - self.monitor.window, until, moment.at))
            live = new[(new >= start) & (new < labelled)]
            if training.blessed is None:
                raise ValueError(f"the training at {moment.in_force} was refused and cannot be in force")
            self._qualities[pair] = measure_quality(
                self._answered(training.at(live), live),
                self._answered(training.blessed, training.blessed_rows),
                history.spec,
                rows=int(((new >= start) & (new < end)).sum()),
                newest_label=self._time(int(live[-1])) if len(live) else None,
            )
        return self._qualities[pair]

    def _answered(self, answers: Answers, rows: Array) -> Any:
        times = self.history.window.times
        return answered(answers, None if times is None else times.iloc[rows], self.history.spec)


@dataclass
class Watcher:
    """Retrain when the monitor's judge says that it is due, by a simulated clock and a history of its own."""

    policy: Policy
    lookout: Lookout
    knobs: RetrainSpec
    looks: list[PastLook] = field(default_factory=list)
    retrained: list[datetime] = field(default_factory=list)

    def decide(self, moment: Moment) -> Choice:
        """Look, judge, and remember having looked."""
        report = self.lookout.report(moment, with_drift=self.knobs.drift)
        past = PastLooks(looks=tuple(reversed(self.looks)), retrained=tuple(reversed(self.retrained)))
        decision = judge_monitoring(report, self.lookout.monitor, self.knobs, past)
        self.looks.append(
            PastLook(
                at=moment.at,
                champion_version=report.champion_version,
                window_end=report.window_end,
                is_drifting=decision.is_drifting,
                is_conclusive=_is_conclusive(decision),
            )
        )
        return Choice(
            decision.reasons,
            decision.sentence,
            is_held_back=decision.held_back is not None,
            is_undecided=decision.judgement.verdict is Verdict.INCONCLUSIVE,
        )

    def has_trained(self, moment: Moment) -> None:
        """Remember when, for the cool-down and the budget."""
        self.retrained.append(moment.at)


def _is_conclusive(decision: Decision) -> bool:
    drift = next((r for r in decision.judgement.results if r.gate == "drift"), None)
    return drift is not None and drift.verdict is not Verdict.INCONCLUSIVE


def decider_of(policy: Policy, lookout: Lookout) -> Decider:
    """Give what decides for a policy: the clock, or the monitor's judge."""
    if not policy.watches:
        return Clockwork(policy)
    history = lookout.history
    return Watcher(policy, lookout, policy.knobs(history.spec.retrain), retrained=[history.grid.moments[0]])
