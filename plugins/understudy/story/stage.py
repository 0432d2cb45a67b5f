"""Play the acts on the running stack, while live requests go on."""

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from understudy.contract.errors import UnderstudyError
from understudy.contract.words import Outcome
from understudy.embedded.airflow_api import ENDED_TASK, AirflowApi, TaskState
from understudy.sample.traffic import Hours, Traffic
from understudy.story.acts import MODEL, Act, Market
from understudy.story.proof import Happened
from understudy.story.scenery import declare

DAG_ID = f"retrain__{MODEL}"
MONITOR_ID = f"monitor__{MODEL}"
DAG_WITHIN_S = 180.0
ASKED_WITHIN_S = 120.0
NOTHING_TOLD = "the run told nothing"
SEEN = 40
"""How many live answers, from the version that is to give them, end an act."""
SEEN_WITHIN_S = 30.0


class RetrainingMissing(UnderstudyError):
    """The monitor asked for a retraining, and none began."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The monitor asked for a retraining, but none began within {seconds:.0f} s; the scheduler's log says more."
        )


class Stage:
    """Hold what outlasts an act: the callers, the run that goes on, the declaration that Airflow has read."""

    def __init__(self, api: AirflowApi, home: Path, traffic: Traffic, markets: dict[Market, Hours]) -> None:
        self._api, self._home = api, home
        self.traffic, self._markets = traffic, markets
        self._dag_id, self._run = DAG_ID, ""
        self._asked_for = 0
        self._declared: dict[str, object] | None = None
        self._is_live = False
        self._ended: set[tuple[str, int]] = set()
        self._told_before: set[tuple[str, int]] = set()

    def play(self, act: Act, watch: Callable[[list[TaskState]], None], serving: Callable[[], int | None]) -> Happened:
        """Do what the act says, wait for its end, and until live requests show what serves."""
        begun, mark = time.monotonic(), self.traffic.mark
        self._declare(act)
        turned_at = datetime.now(timezone.utc)
        self.traffic.play(self._markets[act.market])
        state, facts = self._act(act, watch)
        if not self._is_live:
            self.traffic.start()
            self._is_live = True
        self._wait_for(serving())
        return Happened(
            run=self._run,
            state=state,
            outcome=Outcome(facts["outcome"]) if "outcome" in facts else None,
            sentence=str(facts.get("sentence", NOTHING_TOLD)),
            turned_at=turned_at,
            seconds=time.monotonic() - begun,
            live=self.traffic.since(mark),
        )

    def _declare(self, act: Act) -> None:
        self._api.wait_for_dag(DAG_ID, DAG_WITHIN_S)
        if act.train != self._declared and act.begins:
            declare(self._home, act.train)
            self._api.reread(DAG_ID, DAG_WITHIN_S)
            self._declared = act.train

    def _act(self, act: Act, watch: Callable[[list[TaskState]], None]) -> tuple[str, dict[str, Any]]:
        """Run what the act begins; return how the last run ended and what its last task told."""
        if act.begins:
            self._told_before = set()
        shown: list[TaskState] = []
        if act.as_of is not None:
            told = {"as_of": act.as_of.isoformat(), "reason": f"make demo: {act.title}"}
            self._dag_id, self._run = DAG_ID, self._api.trigger(DAG_ID, told)
        if act.look_at is not None:
            self._api.wait_for_dag(MONITOR_ID, DAG_WITHIN_S)
            look = self._api.trigger(MONITOR_ID, {"as_of": act.look_at.isoformat()})
            state = self._api.follow(MONITOR_ID, look, lambda tasks: watch(_kept(shown, tasks)))
            told = self._api.xcom(MONITOR_ID, look, "decide")
            facts = dict(told) if isinstance(told, dict) else {}
            if not facts.get("is_due"):
                self._dag_id, self._run = MONITOR_ID, look
                return state, {"sentence": facts.get("sentence", NOTHING_TOLD)}
            self._dag_id, self._run = DAG_ID, self._asked()
        # Where the act before went otherwise than told, what goes on is its look; the proof says so.
        state = self._api.follow(
            self._dag_id, self._run, lambda tasks: watch([*shown, *self._new(tasks)]), until=act.until
        )
        self._told_before = self._ended
        return state, self._told(act.until or "outcome")

    def _asked(self) -> str:
        """Wait for the retraining that the monitor asked for."""
        deadline = time.monotonic() + ASKED_WITHIN_S
        while len(asked := self._api.runs(DAG_ID, "asset_triggered")) <= self._asked_for:
            if time.monotonic() > deadline:
                raise RetrainingMissing(ASKED_WITHIN_S)
            time.sleep(0.5)
        self._asked_for = len(asked)
        return asked[-1]

    def _new(self, tasks: list[TaskState]) -> list[TaskState]:
        """Leave out what the act before has shown of the same run."""
        self._ended = {(task.task, task.map_index) for task in tasks if task.state in ENDED_TASK}
        return [task for task in tasks if (task.task, task.map_index) not in self._told_before]

    def _told(self, task: str) -> dict[str, Any]:
        """Read what the act's last task returned; one that ends an act before the run's outcome was a success."""
        told = self._api.xcom(self._dag_id, self._run, task)
        facts = dict(told) if isinstance(told, dict) else {}
        return facts | {"outcome": Outcome.PROMOTED} if facts.get("change") == "promotion" else facts

    def _wait_for(self, version: int | None) -> None:
        """Wait for live answers of what serves; too few are the proof's to find."""
        if version is None:
            return
        mark, deadline = self.traffic.mark, time.monotonic() + SEEN_WITHIN_S
        while self.traffic.since(mark).versions.get(version, 0) < SEEN and time.monotonic() < deadline:
            time.sleep(0.1)


def _kept(shown: list[TaskState], tasks: list[TaskState]) -> list[TaskState]:
    shown[:] = tasks
    return shown
