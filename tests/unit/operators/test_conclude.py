"""How a run ended, told from what its tasks left: their results, refusals and problems."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, TriggerRule

from tests.unit.operators.evaluated import evaluated
from understudy.contract.by import By
from understudy.contract.declared import Fact
from understudy.contract.judgement import Judgement
from understudy.contract.release import Deployment
from understudy.contract.words import Change, EntryKind, Outcome, Verdict
from understudy.hooks.connect import connect
from understudy.operators import (
    AskApprovalOperator,
    CanaryOperator,
    ConcludeOperator,
    DataSanityCheckOperator,
    EvaluateVsChampionOperator,
    GuardOperator,
    PromoteOperator,
    ShadowDeployOperator,
    SnapshotDataOperator,
    TrainOperator,
)
from understudy.operators.decisions import HELD_KEY, PROBLEM_KEY, REFUSAL_KEY, REJECTED_KEY
from understudy.operators.errors import RunEndedBadly
from understudy.operators.handover import Canaried, Deployed, Evaluated, Guarded, Rehearsed
from understudy.settings import settings
from understudy.workspace import run_key


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def concluding(is_live: bool = False, **results: Any) -> ConcludeOperator:
    """Build the factory's shape, with names that are not the factory's; of a served model, if asked."""
    with DAG(dag_id="by_hand"):
        snapshot = SnapshotDataOperator(task_id="read", model="price")
        check = DataSanityCheckOperator(task_id="look", model="price", snapshot=snapshot.output, skip_on_refusal=True)
        train = TrainOperator(task_id="learn", model="price", data=check.output)
        evaluate = EvaluateVsChampionOperator(task_id="compare", model="price", trained=train.output)
        shadow = ShadowDeployOperator(task_id="rehearse", model="price", evaluated=evaluate.output)
        canary = CanaryOperator(task_id="try", model="price", evaluated=evaluate.output)
        asks = [
            AskApprovalOperator(task_id=name, model="price", evaluated=evaluate.output, person=person)
            for person, name in enumerate(("ask", "ask_another"), start=1)
        ]
        promote = PromoteOperator(
            task_id="raise",
            model="price",
            evaluated=evaluate.output,
            rehearsed=shadow.output if is_live else None,
            canaried=canary.output if is_live else None,
        )
        asks[0] >> asks[1] >> promote
        guard = GuardOperator(task_id="watch", model="price", deployed=promote.output)
        conclude = ConcludeOperator(
            task_id="end",
            model="price",
            evaluated=evaluate.output,
            deployed=promote.output,
            rehearsed=shadow.output if is_live else None,
            canaried=canary.output if is_live else None,
            guarded=guard.output if is_live else None,
        )
    for name in ("evaluated", "deployed", "rehearsed", "canaried", "guarded"):
        setattr(conclude, name, results.get(name))
    return conclude


def end(told: dict[tuple[str, str], str] | None = None, dry_run: bool = False, **results: Any) -> dict[str, Any]:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        xcom_pull=lambda task_ids, key: (told or {}).get((task_ids, key)),
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    run = SimpleNamespace(run_type="manual", triggering_user_name="ann")
    context: Any = {"ti": ti, "run_id": "manual__1", "dag_run": run, "params": {"dry_run": dry_run}}
    try:
        return concluding(**results).execute(context)
    except RunEndedBadly as bad:
        concluded = dict(pushed["return_value"])
        return {**concluded, "bad": str(bad) == f"{concluded['outcome'].upper()}: {concluded['sentence']}"}


DEPLOYED = Deployed(
    change=Change.PROMOTION,
    model="price",
    version=7,
    previous_version=3,
    epoch=3,
    sentence="version 7 of price is champion, epoch 3",
).model_dump(mode="json")


def test_a_promotion_is_a_good_end() -> None:
    concluded = end(evaluated=evaluated(Verdict.PASSED, True), deployed=DEPLOYED)
    assert (concluded["outcome"], concluded["version"], concluded["sentence"]) == ("promoted", 7, DEPLOYED["sentence"])


REHEARSED = Rehearsed(
    version=7,
    champion_version=3,
    judgement=Judgement(verdict=Verdict.PASSED, results=()),
    sentence="version 7 was rehearsed beside version 3: all 4 questions passed",
)
CANARIED = Canaried(
    version=7,
    champion_version=3,
    judgement=Judgement(verdict=Verdict.PASSED, results=()),
    share=1.0,
    sentence="version 7 answered 100% of the callers beside version 3: all 2 questions passed",
)
GUARDED = Guarded(
    version=7,
    judgement=Judgement(verdict=Verdict.PASSED, results=()),
    sentence="version 7 in its probation of 1d beside version 3: all 4 questions passed",
)


def live(told: dict[tuple[str, str], str] | None = None, **results: Any) -> dict[str, Any]:
    facts = {name: fact.model_dump(mode="json") for name, fact in results.items() if isinstance(fact, Fact)}
    return end(told, is_live=True, evaluated=evaluated(Verdict.PASSED, True), **{**results, **facts})


def test_a_promotion_that_kept_up_its_probation_says_so() -> None:
    concluded = live(rehearsed=REHEARSED, deployed=DEPLOYED, guarded=GUARDED)
    assert concluded["outcome"] == "promoted"
    assert concluded["sentence"] == f"{DEPLOYED['sentence']}; {GUARDED.sentence}"


def test_a_promotion_tells_of_its_canary() -> None:
    concluded = live(rehearsed=REHEARSED, canaried=CANARIED, deployed=DEPLOYED, guarded=GUARDED)
    assert concluded["sentence"] == f"{DEPLOYED['sentence']}; {CANARIED.sentence}; {GUARDED.sentence}"
    waved = CANARIED.model_copy(
        update={"judgement": Judgement(verdict=Verdict.PASSED, results=(), rubber_stamped=True)}
    )
    assert live(canaried=waved, deployed=DEPLOYED, guarded=GUARDED)["sentence"].count(";") == 1


def test_a_declined_or_broken_canary_says_so() -> None:
    declined = CANARIED.model_copy(update={"judgement": Judgement(verdict=Verdict.FAILED, results=())})
    concluded = live(rehearsed=REHEARSED, canaried=declined)
    assert concluded["outcome"] == "declined"
    assert concluded["sentence"] == f"version 7 was declined (failed): {CANARIED.sentence}"
    broken = live({("try", PROBLEM_KEY): "a gateway lags"}, rehearsed=REHEARSED)
    assert "its canary broke (a gateway lags); clear that task" in broken["sentence"]
    refused = live({("try", REFUSAL_KEY): "it is locked"}, rehearsed=REHEARSED)
    assert (refused["outcome"], refused["sentence"]) == ("promotion_refused", "it is locked")


@pytest.mark.parametrize("task", ["try", "raise"])
def test_a_run_under_a_hold_says_so_and_is_no_bad_end(task: str) -> None:
    concluded = live({(task, HELD_KEY): "price is held by carl"}, rehearsed=REHEARSED)
    assert (concluded["outcome"], concluded.get("bad")) == ("held", None)
    assert concluded["sentence"] == "version 7 passed and is not promoted: price is held by carl"


@pytest.mark.parametrize("task", ["ask", "ask_another"])
def test_a_rejection_says_who_and_why_and_is_no_bad_end(task: str) -> None:
    concluded = live({(task, REJECTED_KEY): "version 7 was rejected by Ann: too risky"}, rehearsed=REHEARSED)
    assert (concluded["outcome"], concluded.get("bad")) == ("rejected", None)
    assert concluded["sentence"] == "version 7 was rejected by Ann: too risky"


def test_an_approval_that_nobody_could_be_asked_for_or_that_broke_says_so() -> None:
    refused = live({("ask", REFUSAL_KEY): "nobody to ask"}, rehearsed=REHEARSED)
    assert (refused["outcome"], refused["sentence"], refused["bad"]) == ("promotion_refused", "nobody to ask", True)
    broken = live({("ask_another", PROBLEM_KEY): "the ledger is down"}, rehearsed=REHEARSED)
    assert broken["outcome"] == "broken"
    assert "its approval broke (the ledger is down); clear that task" in broken["sentence"]
    promotion = live({("raise", PROBLEM_KEY): "a gateway lags"}, rehearsed=REHEARSED)
    assert "its promotion broke (a gateway lags)" in promotion["sentence"]


def test_a_champion_that_was_taken_back_is_a_bad_end() -> None:
    taken_back = GUARDED.model_copy(update={"rolled_back_to": 3, "sentence": "version 7 was taken back: too slow"})
    concluded = live({("watch", PROBLEM_KEY): "too slow"}, rehearsed=REHEARSED, deployed=DEPLOYED, guarded=taken_back)
    assert (concluded["outcome"], concluded["bad"]) == ("rolled_back", True)
    assert concluded["sentence"] == "version 7 was taken back: too slow"


def test_a_declined_rehearsal_is_a_good_end() -> None:
    declined = REHEARSED.model_copy(update={"judgement": Judgement(verdict=Verdict.INCONCLUSIVE, results=())})
    concluded = live(rehearsed=declined)
    assert concluded["outcome"] == "declined"
    assert concluded["sentence"] == f"version 7 was declined (inconclusive): {REHEARSED.sentence}"


def test_a_broken_rehearsal_or_probation_is_broken_with_its_sentence() -> None:
    rehearsal = live({("rehearse", PROBLEM_KEY): "no gateway is known"})
    assert rehearsal["outcome"] == "broken"
    assert "its rehearsal broke (no gateway is known); clear that task" in rehearsal["sentence"]
    refused = live({("rehearse", REFUSAL_KEY): "its blessing is stale"})
    assert (refused["outcome"], refused["sentence"]) == ("promotion_refused", "its blessing is stale")
    promotion = live({("raise", PROBLEM_KEY): "a gateway lags"}, rehearsed=REHEARSED)
    assert "its promotion broke (a gateway lags)" in promotion["sentence"]
    probation = live({("watch", REFUSAL_KEY): "it is locked"}, rehearsed=REHEARSED, deployed=DEPLOYED)
    assert (probation["outcome"], probation["bad"]) == ("broken", True)
    assert "its probation broke (it is locked)" in probation["sentence"]


@pytest.mark.parametrize(
    ("started", "tried", "ended"),
    [
        (Change.MIRROR_STARTED, {"mirror": 7}, Change.MIRROR_ENDED),
        (Change.CANARY_STARTED, {"canary": 7, "canary_share": 0.1}, Change.CANARY_ENDED),
    ],
    ids=["mirror", "canary"],
)
def test_what_a_broken_task_left_beside_the_champion_ends_with_its_run(
    monkeypatch: pytest.MonkeyPatch, started: Change, tried: dict[str, Any], ended: Change
) -> None:
    monkeypatch.setattr(
        "understudy.hooks.registry.registry.Registry", lambda *_, **__: SimpleNamespace(follow=lambda record: {})
    )
    deployments, bundle = connect().deployments, Evaluated.model_validate(evaluated(Verdict.PASSED, True)).bundle
    first = bundle.model_copy(update={"version": 3, "model_sha256": "b"})
    record = Deployment(model="price", epoch=1, change=Change.PROMOTION, champion=first, previous=None)
    deployments.deploy(record, 0, By(actor="ann", reason="test"))
    named = {name: bundle if name in {"mirror", "canary"} else value for name, value in tried.items()}
    beside = record.model_copy(update={"epoch": 2, "change": started, **named})
    deployments.deploy(beside, 1, By(actor="ann", reason="rehearsal", run=run_key("manual__1")))
    live({("rehearse", PROBLEM_KEY): "the trigger broke"})
    current = deployments.current("price")
    assert current is not None
    assert (current.change, current.mirror, current.canary, current.epoch) == (ended, None, None, 3)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_a_declined_challenger_is_a_good_end(verdict: Verdict) -> None:
    concluded = end(evaluated=evaluated(verdict, False))
    assert concluded["outcome"] == "declined"
    assert concluded["sentence"] == f"version 7 was declined ({verdict}): roc_auc is 0.6"


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.FAILED])
def test_the_champion_once_more_is_a_good_end_that_changes_nothing(verdict: Verdict) -> None:
    concluded = end(evaluated=evaluated(verdict, False) | {"is_champion_again": True})
    assert (concluded["outcome"], concluded["version"]) == ("unchanged", 7)
    assert concluded["sentence"] == (
        "version 7 is champion 3 once more: the same rows have made the same files; nothing was added to its source"
    )


def test_the_champion_once_more_in_a_dry_run_is_a_dry_run() -> None:
    concluded = end(evaluated=evaluated(Verdict.PASSED, False) | {"is_champion_again": True}, dry_run=True)
    assert concluded["outcome"] == "dry_run"


def test_a_dry_run_says_what_would_have_been() -> None:
    concluded = end(evaluated=evaluated(Verdict.PASSED, False), dry_run=True)
    assert concluded["outcome"] == "dry_run"
    assert "version 7 was judged passed" in concluded["sentence"]


@pytest.mark.parametrize("task", ["read", "look"])
def test_refused_data_are_a_refusal_whatever_the_task_is_called(task: str) -> None:
    concluded = end({(task, REFUSAL_KEY): "no rows", (task, PROBLEM_KEY): "Stage refused: no rows"})
    assert concluded == {
        "outcome": "data_refused",
        "sentence": f"{task} was refused: no rows",
        "version": None,
        "champion": None,
        "bad": True,
    }


def test_a_refused_training_is_broken_with_its_sentence() -> None:
    assert end({("learn", REFUSAL_KEY): "one class only"})["sentence"] == "learn was refused: one class only"
    concluded = end({("learn", PROBLEM_KEY): "Stage 'train' needed more than its memory limit of 2g"})
    assert (concluded["outcome"], concluded["bad"]) == ("broken", True)
    assert concluded["sentence"] == "learn broke: Stage 'train' needed more than its memory limit of 2g"


def test_the_first_trouble_is_the_cause() -> None:
    told = {("read", PROBLEM_KEY): "the ledger is locked", ("learn", REFUSAL_KEY): "no data"}
    assert end(told)["sentence"] == "read broke: the ledger is locked"


def test_a_bug_sends_the_reader_to_the_log() -> None:
    assert "read the log of the failed task" in end()["sentence"]


def test_a_blessed_challenger_that_was_not_promoted_is_refused_or_broken() -> None:
    blessed = evaluated(Verdict.PASSED, True)
    refused = end({("raise", REFUSAL_KEY): "its blessing is stale"}, evaluated=blessed)
    assert (refused["outcome"], refused["sentence"]) == ("promotion_refused", "its blessing is stale")
    broken = end({("raise", PROBLEM_KEY): "the registry is down"}, evaluated=blessed)
    assert broken["outcome"] == "broken"
    assert "its promotion broke (the registry is down); clear that task" in broken["sentence"]


def test_an_end_is_recorded_once_and_another_end_of_the_same_run_as_well() -> None:
    for _ in range(2):
        end({("learn", PROBLEM_KEY): "out of memory"})
    end(evaluated=evaluated(Verdict.PASSED, True), deployed=DEPLOYED)
    entries = connect().ledger.entries("price", [EntryKind.CONCLUDED])
    assert [entry.facts["outcome"] for entry in entries] == [Outcome.BROKEN.value, Outcome.PROMOTED.value]
    assert entries[0].actor == "ann"


def test_it_runs_whatever_happened_above() -> None:
    assert concluding().trigger_rule == TriggerRule.ALL_DONE
