"""Tell the story: five acts on the real scheduler, each checked."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.contract.words import Outcome
from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi, TaskState
from understudy.hooks.connect import Hooks
from understudy.story.acts import ACTS, MODEL, Act
from understudy.story.proof import Happened, Proof
from understudy.story.scenery import declare, prepare
from understudy.story.told import Told

if TYPE_CHECKING:
    from understudy.story.display import StoryDisplay

DAG_WITHIN_S = 180.0


def tell_story(home: Path, display: "StoryDisplay", *, keep_running: bool) -> Told:
    """Run all acts, even after one that contradicts its promise, and say what happened."""
    begun = time.monotonic()
    display.step("preparing a fresh demo")
    settings, layout = prepare(home)
    running = stack.up(settings, layout, display.step)
    setup = time.monotonic() - begun
    api = AirflowApi(running.airflow, running.user, running.password)
    hooks = Hooks(settings)
    proof = Proof(hooks)
    rows = []
    try:
        for number, act in enumerate(ACTS, start=1):
            display.begin(number)
            row = proof.row(number, act, _play(api, home, act, display.watch))
            display.end(row)
            rows.append(row)
        chain = hooks.ledger.verify()
    finally:
        if not keep_running:
            display.step("stopping")
            stack.down(layout)
    return Told(
        ok=chain.ok and not any(row.contradictions for row in rows),
        rows=tuple(rows),
        ledger=chain.sentence,
        running=running if keep_running else None,
        setup_seconds=setup,
        seconds=time.monotonic() - begun,
    )


def _play(api: AirflowApi, home: Path, act: Act, watch: Callable[[list[TaskState]], None]) -> Happened:
    begun = time.monotonic()
    dag_id = f"retrain__{MODEL}" if act.outcome else "rollback"
    api.wait_for_dag(dag_id, DAG_WITHIN_S)
    if act.train:
        declare(home, act.train)
        api.reread(dag_id, DAG_WITHIN_S)
    run = api.trigger(dag_id, _form(act))
    state = api.follow(dag_id, run, watch)
    told = api.xcom(dag_id, run, "outcome" if act.outcome else "rollback")
    facts: dict[str, Any] = told if isinstance(told, dict) else {}
    return Happened(
        run=run,
        state=state,
        outcome=Outcome(facts["outcome"]) if "outcome" in facts else None,
        sentence=str(facts.get("sentence", "the run told nothing")),
        seconds=time.monotonic() - begun,
    )


def _form(act: Act) -> dict[str, Any]:
    """Fill in the trigger form as a person would."""
    if act.as_of is None:
        return {"model": MODEL, "target": "previous", "reason": f"make demo: {act.title}"}
    return {"as_of": act.as_of.isoformat(), "reason": f"make demo: {act.title}"}
