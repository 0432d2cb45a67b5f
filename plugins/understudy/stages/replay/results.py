"""Judge finished walks in hindsight, and put the report of a replay together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.contract.metrics import METRICS
from understudy.contract.moment import moment
from understudy.contract.replay.plan import ReplayPlan
from understudy.contract.replay.policies import Policy
from understudy.contract.replay.recommend import recommend
from understudy.contract.replay.report import PolicyResult, ReplayReport, Retraining, Walk
from understudy.contract.reports import Number
from understudy.contract.words import PolicyKind
from understudy.stages.measure.answers import Answers
from understudy.stages.measure.metrics import finite, measure
from understudy.stages.measure.value import with_values
from understudy.stages.replay.hindsight import Losses, evenly, losses_of
from understudy.stages.replay.history import History
from understudy.stages.replay.takeover import Gatekeeper, unreplayed_gates
from understudy.stages.replay.trainings import Trainings
from understudy.stages.replay.walk import Clockwork, Planned, walk
from understudy.stages.window import Array


@dataclass(frozen=True)
class Hindsight:
    """Hold what all walks of one replay are judged by."""

    history: History
    trainings: Trainings
    gatekeeper: Gatekeeper
    losses: Losses
    best: Array
    """The smallest mean loss that 0, 1, … trainings could have had."""
    never: Walk
    every: Walk

    @classmethod
    def of(cls, history: History, trainings: Trainings, gatekeeper: Gatekeeper) -> Hindsight:
        """Look back from the end of the history."""
        losses = losses_of(history, trainings)
        ends = (
            walk(kind.value, Clockwork(Policy(kind=kind)), history.grid, gatekeeper)
            for kind in (PolicyKind.NEVER, PolicyKind.EVERY)
        )
        never, every = ends
        best = losses.best(max(1, len(every.retrainings)))
        return cls(history, trainings, gatekeeper, losses, best, never, every)

    def by_step(self, way: Walk) -> list[Number]:
        """Measure the primary metric of each step."""
        primary = self.history.spec.primary
        found = []
        for step, place in enumerate(way.in_force, start=1):
            rows = self.history.step_rows(step)
            found.append(measure(primary, self.trainings[place].at(rows)) if len(rows) else None)
        return found

    def mean(self, by_step: Sequence[Number]) -> Number:
        """Average a metric over the steps that have one, by their rows."""
        values = np.array([np.nan if value is None else value for value in by_step])
        weights = np.where(np.isfinite(values), self.losses.rows, 0)
        return finite(float(np.nansum(values * weights) / weights.sum())) if weights.sum() else None

    def quality(self, way: Walk) -> Number:
        """Give a walk's mean metric."""
        return self.mean(self.by_step(way))

    def judge(self, way: Walk) -> PolicyResult:
        """Compare a walk with never, with every, and with as many trainings at even distances or at their best."""
        by_step = self.by_step(way)
        quality, loss = self.mean(by_step), self.losses.of(way.in_force)
        count = len(way.retrainings)
        places = evenly(count, self.history.grid.steps)
        schedule = walk("same_budget", Planned(places), self.history.grid, self.gatekeeper)
        seen = [self._told(way, number) for number in range(count)]
        return PolicyResult(
            policy=way.policy,
            quality=quality,
            loss=finite(loss),
            trainings=count,
            training_rows=sum(self.trainings[r.place].facts.rows for r in seen),
            took_over=sum(r.takes_over for r in seen),
            false_alarms=sum(r.is_false_alarm for r in seen),
            share_of_trainings=count / len(self.every.retrainings) if self.every.retrainings else None,
            share_of_gain=self._share_of_gain(quality),
            same_budget=self.quality(schedule),
            regret=finite(loss - float(self.best[min(count, len(self.best) - 1)])),
            kappa_temporal=self._kappa_temporal(loss),
            by_step=tuple(by_step),
            walk=way.model_copy(update={"retrainings": tuple(seen)}),
        )

    def _told(self, way: Walk, number: int) -> Retraining:
        """Add what a retraining gained until the next model took over."""
        told = way.retrainings[number]
        if not told.takes_over:
            return told
        later = [r.place for r in way.retrainings[number + 1 :] if r.takes_over]
        end = later[0] if later else self.history.grid.steps
        old = way.in_force[told.place - 1]
        return told.model_copy(update={"gain": self.losses.gain(told.place, old, told.place, end)})

    def _share_of_gain(self, quality: Number) -> Number:
        sign = 1.0 if METRICS[self.history.spec.primary].greater_is_better else -1.0
        ends = self.quality(self.never), self.quality(self.every)
        if quality is None or ends[0] is None or ends[1] is None:
            return None
        gain = sign * (ends[1] - ends[0])
        return finite(sign * (quality - ends[0]) / gain) if gain > 0 else None

    def _kappa_temporal(self, loss: float) -> Number:
        if not self.history.classes:
            return None
        rows = np.concatenate([self.history.step_rows(s) for s in range(1, self.history.grid.steps + 1)])
        actual = self.history.actual
        repeated = float((actual[rows] == actual[np.maximum(rows - 1, 0)]).mean())
        return finite(((1 - loss) - repeated) / (1 - repeated)) if repeated < 1 else None

    def no_change(self, code: Path | None) -> Number:
        """Measure what repeating the label of the row before would have scored."""
        history, by_step = self.history, []
        for step in range(1, history.grid.steps + 1):
            rows = history.step_rows(step)
            before = history.actual[np.maximum(rows - 1, 0)]
            answers = Answers(history.spec.task, history.classes, history.actual[rows], before)
            if history.classes:
                answers = replace(answers, scores=np.eye(len(history.classes))[before])
            by_step.append(
                measure(history.spec.primary, with_values(answers, history.spec, code)) if len(rows) else None
            )
        return self.mean(by_step)


def report_of(
    hindsight: Hindsight, plan: ReplayPlan, walks: Sequence[Walk], data: str, code: Path | None
) -> ReplayReport:
    """Put the report together; policies in the order of the plan."""
    history = hindsight.history
    by_name = {way.policy: way for way in walks}
    results = tuple(hindsight.judge(by_name[policy.name]) for policy in plan.policies)
    spec = history.spec
    return ReplayReport(
        model=spec.model,
        task=spec.task.value,
        metric=spec.primary,
        greater_is_better=METRICS[spec.primary].greater_is_better,
        moments=plan.grid.moments,
        step=plan.grid.step,
        window=plan.grid.window,
        label_delay=plan.grid.label_delay,
        takeover=plan.takeover,
        rows=int(hindsight.losses.rows.sum()),
        data_version=data,
        no_change=hindsight.no_change(code),
        policies=results,
        recommendation=recommend(spec, results, plan.grid.step, plan.tolerance),
        notes=tuple(_notes(hindsight, plan, results)),
    )


def _notes(hindsight: Hindsight, plan: ReplayPlan, results: Sequence[PolicyResult]) -> list[str]:
    history, notes = hindsight.history, []
    primary, steps = history.spec.primary, plan.grid.steps
    unmeasured = sum(value is None for value in hindsight.by_step(hindsight.never))
    if unmeasured:
        why = "they have no rows or a single class" if history.classes else "they have too few rows"
        notes.append(f"{unmeasured} of {steps} steps have no {primary}, because {why}; they count in the loss only.")
    refused = [place for place in range(steps) if hindsight.trainings[place].facts.refused is not None]
    if refused:
        notes.append(
            f"{len(refused)} of {steps} trainings were refused, the first at "
            f"{moment(plan.grid.moments[refused[0]])}: {hindsight.trainings[refused[0]].facts.refused}"
        )
    turned_away = [r for r in hindsight.every.retrainings if not r.takes_over and r.place not in refused]
    if turned_away:
        notes.append(
            f"{len(turned_away)} of {len(hindsight.every.retrainings)} challengers of a training at every step did not "
            f"take over, the first at {moment(turned_away[0].at)}: {turned_away[0].sentence}"
        )
    if history.is_thinned:
        notes.append("Steps with more than 5,000 rows were answered on 5,000 evenly spread ones.")
    if history.spec.train.search:
        notes.append("The search is not replayed: every training used the declared train.params.")
    for metric in unreplayed_gates(history):
        notes.append(f"The gate {metric} was left out: a replay keeps no model files.")
    for policy, result in zip(plan.policies, results, strict=True):
        if policy.kind is not PolicyKind.NEVER and not result.trainings:
            notes.append(f"{policy.name} never trained: nothing made a training due in {steps} steps.")
    return notes
