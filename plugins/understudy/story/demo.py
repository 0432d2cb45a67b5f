"""Tell the story: its acts on the real scheduler, under live requests, each checked."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi
from understudy.hooks.connect import Hooks
from understudy.sample.traffic import Traffic, request_body
from understudy.story.acts import ACTS, MODEL, Market, Scene
from understudy.story.live import markets, traffic_of
from understudy.story.proof import Proof, Row
from understudy.story.reversal import Reversal, reversal_of
from understudy.story.scenery import prepare
from understudy.story.stage import Stage
from understudy.story.told import Told
from understudy.story.witness import ask

if TYPE_CHECKING:
    from understudy.story.display import StoryDisplay


def tell_story(home: Path, display: "StoryDisplay", *, keep_running: bool) -> Told:
    """Run all acts, even after one that contradicts its promise, and say what happened."""
    begun = time.monotonic()
    display.step("preparing a fresh demo")
    settings, layout = prepare(home)
    hours = markets()
    running = stack.up(settings, layout, display.step)
    setup = time.monotonic() - begun
    hooks = Hooks(settings)
    traffic = traffic_of(running.gateway, hours[Market.OLD])
    stage = Stage(AirflowApi(running.airflow, running.user, running.password.get_secret_value()), home, traffic, hours)
    body = request_body(hours[Market.OLD].rows[:1])
    proof = Proof(hooks, lambda: ask(settings.gateway_urls, MODEL, body))
    rows: list[Row] = []
    reversal: Reversal | None = None
    try:
        for number, act in enumerate(ACTS, start=1):
            display.begin(number)
            happened = stage.play(act, display.watch, lambda: _champion(hooks))
            row = proof.row(number, act, happened)
            if act.scene is Scene.FAULT:
                reversal = reversal_of(hooks.ledger.entries(MODEL), happened.turned_at)
                row = _with_late_answers(row, traffic, reversal)
            display.end(row)
            rows.append(row)
        chain = hooks.ledger.verify()
    finally:
        traffic.stop()
        if not keep_running:
            display.step("stopping")
            stack.down(layout)
    return Told(
        ok=chain.ok and reversal is not None and not any(row.contradictions for row in rows),
        rows=tuple(rows),
        ledger=chain.sentence,
        live=traffic.since(0),
        labels=traffic.labels_sent,
        reversal=reversal,
        running=running if keep_running else None,
        setup_seconds=setup,
        seconds=time.monotonic() - begun,
    )


def _champion(hooks: Hooks) -> int | None:
    current = hooks.deployments.current(MODEL)
    return current.champion.version if current else None


def _with_late_answers(row: Row, traffic: Traffic, reversal: Reversal | None) -> Row:
    """Add what the callers saw: nobody may be answered by a version after its end was confirmed."""
    if reversal is None:
        return row.model_copy(update={"contradictions": (*row.contradictions, "the ledger has no confirmed rollback")})
    stale = traffic.stale(reversal.version, reversal.confirmed_at)
    if stale == 0:
        return row
    told = f"version {reversal.version} answered {stale} requests that were sent after its end was confirmed"
    return row.model_copy(update={"contradictions": (*row.contradictions, told)})
