"""Play the acts on the running stack, while live requests go on."""

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from understudy.contract.words import Outcome
from understudy.embedded.airflow_api import ENDED_TASK, AirflowApi, TaskState
from understudy.sample.traffic import Hours, Traffic
from understudy.story.acts import MODEL, Act, Market
from understudy.story.proof import Happened
from understudy.story.scenery import declare

DAG_ID = f"retrain__{MODEL}"
DAG_WITHIN_S = 180.0
SEEN = 40
"""So many live answers end an act, of the version that is to give them."""
SEEN_WITHIN_S = 30.0


class Stage:
    """Hold what outlasts an act: the callers, the run that goes on, the declaration that Airflow has read."""

    def __init__(self, api: AirflowApi, home: Path, traffic: Traffic, markets: dict[Market, Hours]) -> None:
        self._api, self._home = api, home
        self.traffic, self._markets = traffic, markets
        self._run = ""
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
        if act.as_of is not None:
            self._told_before = set()
            self._run = self._api.trigger(DAG_ID, {"as_of": act.as_of.isoformat(), "reason": f"make demo: {act.title}"})
        state = self._api.follow(DAG_ID, self._run, lambda tasks: watch(self._new(tasks)), until=act.until)
        self._told_before = self._ended
        facts = self._told(act.until or "outcome")
        if not self._is_live:
            self.traffic.start()
            self._is_live = True
        self._wait_for(serving())
        return Happened(
            run=self._run,
            state=state,
            outcome=Outcome(facts["outcome"]) if "outcome" in facts else None,
            sentence=str(facts.get("sentence", "the run told nothing")),
            turned_at=turned_at,
            seconds=time.monotonic() - begun,
            live=self.traffic.since(mark),
        )

    def _declare(self, act: Act) -> None:
        self._api.wait_for_dag(DAG_ID, DAG_WITHIN_S)
        if act.train != self._declared and act.as_of is not None:
            declare(self._home, act.train)
            self._api.reread(DAG_ID, DAG_WITHIN_S)
            self._declared = act.train

    def _new(self, tasks: list[TaskState]) -> list[TaskState]:
        """Leave out what the act before has shown of the same run."""
        self._ended = {(task.task, task.map_index) for task in tasks if task.state in ENDED_TASK}
        return [task for task in tasks if (task.task, task.map_index) not in self._told_before]

    def _told(self, task: str) -> dict[str, Any]:
        """Read what the act's last task returned; one that ends an act before the run's outcome was a success."""
        told = self._api.xcom(DAG_ID, self._run, task)
        facts = dict(told) if isinstance(told, dict) else {}
        return facts | {"outcome": Outcome.PROMOTED} if facts.get("change") == "promotion" else facts

    def _wait_for(self, version: int | None) -> None:
        """Wait for live answers of what serves; too few are the proof's to find."""
        if version is None:
            return
        mark, deadline = self.traffic.mark, time.monotonic() + SEEN_WITHIN_S
        while self.traffic.since(mark).versions.get(version, 0) < SEEN and time.monotonic() < deadline:
            time.sleep(0.1)
