"""What a model was asked and how that went, counted since the gateway started."""

from collections import Counter

from understudy.contract.words import MirrorLoss, Role
from understudy.exposition import Durations
from understudy.gateway.exchange import LogRow

EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Traffic:
    """Count on the event loop, where every request passes: nothing here may be slow, and nothing needs a lock."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        """Callers' requests by the status that they were answered with."""
        self.answers: Counter[tuple[Role, int, int]] = Counter()
        """Answers by role, version and status; those that nobody waited for, and probes, too."""
        self.losses: Counter[tuple[Role, int, MirrorLoss]] = Counter()
        """Requests without a usable answer of a mirror, a canary or its baseline."""
        self.durations: dict[Role, Durations] = {}
        self.labels = 0
        """Labels that were taken."""

    def note(self, row: LogRow) -> None:
        """Count what a version did about a request."""
        version = row.bundle.version
        if row.loss is not None:
            self.losses[row.role, version, row.loss] += 1
        if row.answer is None:
            return
        self.answers[row.role, version, row.answer.status] += 1
        durations = self.durations.get(row.role)
        if durations is None:
            durations = self.durations[row.role] = Durations(EDGES_S)
        durations.add(row.total_us / 1e6)
