"""What happens in a drill, from the good model's promotion to its return."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from understudy.contract.by import By
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.drill import DRILL_GUARD, DrillReport
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.rollback import REASON_LIMIT, rollback
from understudy.hooks.traffic.labelled_traffic import LabelledRows, LabelledTraffic
from understudy.operators.drill.sandbox import TERMS, Sandbox
from understudy.operators.live.watch import Watch
from understudy.operators.live.watching import written_at

LOOK_EVERY_S = 0.25
LOOK_S = 30.0
LATE = timedelta(seconds=30)
"""How much longer than allowed a drill waits for the good version, so that it can say how late it was."""
GUARD = "drill"


class Finding(NamedTuple):
    """Hold how the watch of the bad version ended."""

    found_at: datetime | None
    sentence: str


class Course(NamedTuple):
    """Hold a drill's two versions, the requests that it sends, and how long it may take.

    :param go_on: called again and again; raises to end the drill.
    """

    sandbox: Sandbox
    good: Bundle
    bad: Bundle
    known: LabelledRows
    detect_within: timedelta
    reverse_within: timedelta
    go_on: Callable[[], None]

    def run(self) -> DrillReport:
        """Ship the bad version over the good one, and take it back once it is found out."""
        self.go_on()
        self.sandbox.raise_champion(self.good, "a good model, for the rollback drill; nothing was measured")
        with LabelledTraffic(self.sandbox.gateways.urls, DRILL_MODEL, self.known) as traffic:
            self.go_on()
            record = self.sandbox.raise_champion(
                self.bad,
                "a model that is bad on purpose, for the rollback drill; nothing was measured",
                mirror=DRILL_GUARD.share,
            )
            served_at = self._confirmed_at(record)
            finding = self._watched(record, served_at)
            took_s: float | None = None
            problem: str | None = finding.sentence
            if finding.found_at is not None:
                took_s, problem = self._taken_back(traffic, record, finding.sentence)
        return DrillReport(
            good=self.good.version,
            bad=self.bad.version,
            detection_s=(finding.found_at - served_at).total_seconds() if finding.found_at else None,
            reversal_s=took_s,
            problem=problem or None,
            requests=traffic.requests,
            lost=traffic.lost,
        )

    def _confirmed_at(self, record: Deployment) -> datetime:
        entries = self.sandbox.hooks.ledger.entries(DRILL_MODEL, [EntryKind.CONFIRMED], newest_first=True)
        return next(entry.at for entry in entries if entry.facts["epoch"] == record.epoch)

    def _watched(self, record: Deployment, served_at: datetime) -> Finding:
        """Judge the bad version as a guard does, until it fails or the time is up."""
        watch = Watch(
            model=DRILL_MODEL,
            champion=self.bad.version,
            champion_since=record.champion_since,
            mirror=self.good.version,
            since=written_at(self.sandbox.hooks, DRILL_MODEL, record.champion_since),
            gates=DRILL_GUARD,
            terms=TERMS,
            run=self.sandbox.run,
        )
        while True:
            self.go_on()
            try:
                judged = watch.judge(self.sandbox.gateways.rehearsal(DRILL_MODEL, watch.query, LOOK_S))
            except UnderstudyError as unseen:
                sentence = str(unseen)
            else:
                sentence = judged.results[-1].sentence  # what the labels say, which is all that may decide here
                if judged.verdict is Verdict.FAILED:
                    return Finding(datetime.now(timezone.utc), sentence)
            if datetime.now(timezone.utc) >= served_at + self.detect_within:
                return Finding(None, sentence)
            time.sleep(LOOK_EVERY_S)

    def _taken_back(
        self, traffic: LabelledTraffic, record: Deployment, sentence: str
    ) -> tuple[float | None, str | None]:
        """Roll back; return how long it took until every gateway answered a caller with the good version."""
        hooks, began = self.sandbox.hooks, time.monotonic()
        try:
            # It also probes every gateway: an acknowledgement alone is not believed.
            back = rollback(
                hooks.deployments,
                hooks.registry,
                DRILL_MODEL,
                by=By(
                    actor=GUARD,
                    reason=f"the drill's bad model was found out: {sentence}"[:REASON_LIMIT],
                    run=self.sandbox.run,
                ),
                only_since=record.champion_since,
                gateways=self.sandbox.gateways,
                terms=TERMS,
            )
        except UnderstudyError as refused:
            return None, str(refused).rstrip(".")
        patience_s = (self.reverse_within + LATE).total_seconds()
        while True:
            answered_at = traffic.answered_everywhere_at(self.good.version, back.epoch)
            if answered_at is not None:
                return answered_at - began, None
            if time.monotonic() - began > patience_s:
                return None, f"{patience_s:g} s later, callers still get other answers"
            self.go_on()
            time.sleep(LOOK_EVERY_S)
