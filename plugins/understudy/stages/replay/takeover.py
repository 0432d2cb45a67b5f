"""Whether a replayed challenger takes over: the real contest and the real judge on the holdout of its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from understudy.contract.judgement import Judgement
from understudy.contract.judges.challenger import judge
from understudy.contract.replay.plan import ReplayPlan
from understudy.contract.words import Takeover, Verdict
from understudy.stages.evaluate import evaluation_report
from understudy.stages.measure.answers import no_change
from understudy.stages.measure.blocks import time_blocks
from understudy.stages.measure.contest import Contest
from understudy.stages.measure.value import with_values
from understudy.stages.replay.history import History
from understudy.stages.replay.training import Training
from understudy.stages.replay.trainings import Trainings

OF_FILES = frozenset({"latency_p95_ms", "size_mb"})
"""Gates that ask about a model's files or speed, which a replay does not keep."""


class Gatekeeper:
    """Judge challengers, each pair once."""

    def __init__(self, history: History, trainings: Trainings, plan: ReplayPlan, code: Path | None) -> None:
        self.history, self.trainings, self.plan, self.code = history, trainings, plan, code
        self._judged: dict[tuple[int, int], tuple[bool, str]] = {}

    def admits(self, challenger: int, champion: int) -> tuple[bool, str]:
        """Say whether the training at one place takes over from that at another, and why."""
        pair = (challenger, champion)
        if pair not in self._judged:
            self._judged[pair] = self._decide(self.trainings[challenger], self.trainings[champion])
        return self._judged[pair]

    def _decide(self, challenger: Training, champion: Training) -> tuple[bool, str]:
        if challenger.facts.refused is not None:
            return False, f"not trained: {challenger.facts.refused}"
        if self.plan.takeover is Takeover.ALWAYS:
            return True, "takes over without being judged"
        judgement = self._judge(challenger, champion)
        if judgement.verdict is Verdict.PASSED:
            return True, "passed the gates"
        return False, f"{judgement.verdict.value} at the gates: {judgement.sentence}"

    def _judge(self, challenger: Training, champion: Training) -> Judgement:
        spec = self.history.spec
        rows = challenger.holdout
        both = rows[rows >= champion.facts.trained_until]
        holdout = self.history.window.take(both)
        if holdout.times is None:
            raise ValueError("only dated rows can be replayed")
        shared = np.searchsorted(rows, both)
        contest = Contest(
            spec,
            holdout,
            time_blocks(holdout.times, spec.evaluate.block),
            challenger.at(both),
            champion.at(both),
            {name: answers.take(shared) for name, answers in challenger.references.items()},
            with_values(no_change(holdout, self.history.classes, spec.task), spec, self.code),
        )
        report = evaluation_report(
            contest,
            str(challenger.facts.place),
            champion.facts.place,
            leaked=len(rows) - len(both),
            size_mb=None,
            is_linear=challenger.facts.is_linear,
        )
        return judge(report, [gate for gate in spec.gates if gate.metric not in OF_FILES], spec.evaluate)


def unreplayed_gates(history: History) -> tuple[str, ...]:
    """Name the declared gates that a replay leaves out."""
    return tuple(gate.metric for gate in history.spec.gates if gate.metric in OF_FILES)
