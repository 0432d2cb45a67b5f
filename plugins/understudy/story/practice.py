"""Leave a bad champion behind, for whoever wants to practise what to do at three in the morning."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.load import SPEC_FILE
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, Verdict
from understudy.embedded import stack
from understudy.embedded.airflow_api import AirflowApi
from understudy.embedded.stack import Running
from understudy.hooks.connect import Hooks
from understudy.sample.meter import A_WEEK_LATER, FAULT_BEGINS, FAULT_ENDS, write_meter
from understudy.story.scenery import emptied, turned_to

MODEL = "demand"
DAG_ID, MONITOR_ID = f"retrain__{MODEL}", f"monitor__{MODEL}"
DAG_WITHIN_S = 180.0
ROW: dict[str, object] = {"dataframe_split": {"columns": ["wind", "sun"], "data": [[0.5, -1.0]]}}
"""What a caller asks the gateway."""


class NothingBad(UnderstudyError):
    """There is nothing to practise on."""

    def __init__(self, happened: str) -> None:
        super().__init__(f"No bad champion came about: {happened}. Look into the runs of {DAG_ID}, or try again.")


class Left(Fact):
    """Say what waits for whoever practises, and where."""

    running: Running
    models_dir: str
    model: str
    bad: int
    """The version that serves, and should not."""
    good: int
    """The version before it."""
    found: str
    """What the last look at it says."""
    seconds: float
    """From nothing to here."""


def leave_bad_champion(home: Path, tell: Callable[[str], None]) -> Left:
    """Start a stack of its own, promote a good version and then a bad one that passes its gates, and look at it.

    :raises NothingBad: where it came otherwise.
    """
    begun = time.monotonic()
    tell("preparing a fresh stack")
    layout = emptied(home)
    declare_meter(home, MODEL, window="7d", monitor={"schedule": "0 0 1 1 *", "of": "data", "window": "7d"})
    settings = turned_to(home)
    running = stack.up(settings, layout, tell)
    api = AirflowApi(running.airflow, running.user, running.password.get_secret_value())
    for as_of, what in ((FAULT_BEGINS, "a good version"), (FAULT_ENDS, "a version that learned from a broken meter")):
        tell(f"training {what}")
        _run(api, DAG_ID, {"as_of": as_of.isoformat(), "reason": "the weekly one"})
    tell("looking at what serves")
    _run(api, MONITOR_ID, {"as_of": A_WEEK_LATER.isoformat()})
    return what_is_left(Hooks(settings), running, settings.models_dir, time.monotonic() - begun)


def declare_meter(home: Path, model: str, window: str | None = None, **sections: Any) -> None:
    """Declare a quick model of what the meter told, whom nobody watches on live requests."""
    source = home / f"{model}.csv"
    write_meter(source)
    spec = {
        "model": model, "owner": "market-ml", "task": "binary_classification",
        "data": {"source": str(source), "time": "at", "target": "up", **({"window": window} if window else {})},
        "train": {"estimator": "logistic_regression"},
        "evaluate": {"must_beat": ["dummy"]}, "gates": [{"metric": "roc_auc", "floor": 0.6, "min_rows": 100}],
        "retrain": {"quality": False, "drift": False}, "serving": {}, **sections,
    }  # fmt: skip
    folder = home / "models" / model
    folder.mkdir(parents=True)
    (folder / SPEC_FILE).write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")


def _run(api: AirflowApi, dag_id: str, form: dict[str, Any]) -> None:
    api.wait_for_dag(dag_id, DAG_WITHIN_S)
    api.follow(dag_id, api.trigger(dag_id, form), lambda _: None)


def what_is_left(hooks: Hooks, running: Running, models_dir: Path, seconds: float) -> Left:
    """Read from the ledger whether a bad champion serves, and whether the look at it says so.

    :raises NothingBad: where it does not.
    """
    record = hooks.deployments.current(MODEL)
    if record is None or record.previous is None:
        concluded = hooks.ledger.entries(MODEL, [EntryKind.CONCLUDED], limit=1, newest_first=True)
        raise NothingBad(concluded[0].reason if concluded else "no run ended")
    looks = hooks.ledger.entries(MODEL, [EntryKind.MONITORED], limit=1, newest_first=True)
    decided = Look.model_validate(looks[0].facts).decision if looks else None
    if decided is None or decided.judgement.verdict is not Verdict.FAILED:
        raise NothingBad(decided.sentence if decided else "nobody looked at it")
    return Left(
        running=running,
        models_dir=str(models_dir),
        model=MODEL,
        bad=record.champion.version,
        good=record.previous.version,
        found=decided.sentence,
        seconds=seconds,
    )
