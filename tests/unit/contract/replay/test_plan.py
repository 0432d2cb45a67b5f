"""What a replay is asked: policies as people write them, and a history cut into steps."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.replay.plan import Grid, HistoryTooShort, NoTime, ReplayPlan, plan_grid, usual_policies
from understudy.contract.replay.policies import Policy, UnknownPolicy, parse_policies, parse_policy
from understudy.contract.replay.recommend import recommend
from understudy.contract.replay.report import PolicyResult, Walk
from understudy.contract.words import PolicyKind, Takeover

OLDEST = datetime(2024, 1, 1, tzinfo=timezone.utc)
NEWEST = OLDEST + timedelta(days=100)


def spec(**sections: Any) -> ModelSpec:
    body = {
        "model": "prices",
        "owner": "team",
        "task": "binary_classification",
        "data": {"source": "a.csv", "time": "at", "target": "up", "window": "20d"},
        "gates": [{"metric": "accuracy"}],
        **sections,
    }
    return ModelSpec.model_validate(body)


def result(policy: str, quality: float, trainings: int, same_budget: float | None = None) -> PolicyResult:
    return PolicyResult(
        policy=policy, quality=quality, loss=1 - quality, trainings=trainings, training_rows=0, took_over=trainings,
        false_alarms=0, share_of_trainings=None, share_of_gain=None, same_budget=same_budget, regret=None, by_step=(),
        walk=Walk(policy=policy, in_force=()),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["never", "every", "schedule:1w", "drift", "quality", "hybrid", "hybrid:8w", "drift:36h"]
)
def test_a_policy_is_written_as_it_was_read(text: str) -> None:
    assert parse_policy(text).name == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("qualty", "did you mean 'quality'?"),
        ("schedule", "needs a duration"),
        ("drift:", "needs a duration"),
        ("schedule:soon", "is not a duration"),
        ("schedule:0d", "would never pass"),
        ("never:7d", "takes no duration"),
        ("", "not known"),
    ],
)
def test_what_is_no_policy_is_refused_in_one_sentence(text: str, told: str) -> None:
    with pytest.raises(UnknownPolicy, match=told.replace("?", r"\?")) as refused:
        parse_policy(text)
    assert "\n" not in str(refused.value)


def test_a_policy_that_is_named_twice_is_played_once() -> None:
    assert [policy.name for policy in parse_policies("never, every,never")] == ["never", "every"]
    with pytest.raises(UnknownPolicy, match="names none"):
        parse_policies(" , ")


def test_a_policy_acts_on_its_own_reasons_only() -> None:
    declared = spec(retrain={"new_labels": 500, "max_age": "30d", "cooldown": "2d"}).retrain
    drift, hybrid = parse_policy("drift").knobs(declared), parse_policy("hybrid").knobs(declared)
    assert (drift.drift, drift.quality, drift.new_labels, drift.max_age) == (True, False, None, None)
    assert drift.cooldown == timedelta(days=2)
    assert hybrid == declared
    assert parse_policy("hybrid:8w").knobs(declared).max_age == timedelta(weeks=8)


def test_the_first_training_has_its_window_and_known_labels() -> None:
    grid = plan_grid(spec(), OLDEST, NEWEST, step=timedelta(days=5))
    assert grid.moments[0] - OLDEST == timedelta(days=20, seconds=1)
    assert grid.steps == 16
    late = spec(data={"source": "a.csv", "time": "at", "target": "up", "window": "20d", "label_delay": "10d"})
    assert plan_grid(late, OLDEST, NEWEST).known_until(0) > OLDEST


def test_steps_are_chosen_so_that_there_are_at_most_150() -> None:
    assert plan_grid(spec(), OLDEST, NEWEST).step == timedelta(days=1)
    assert plan_grid(spec(), OLDEST, OLDEST + timedelta(days=2000)).step == timedelta(days=28)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"step": timedelta(days=60)}, "4 are needed"),
        ({"step": timedelta(seconds=60)}, "more than 2,000"),
        ({"start": OLDEST - timedelta(days=3)}, "no row with a known label comes before"),
        ({"end": OLDEST}, "0 steps"),
    ],
)
def test_a_history_that_does_not_reach_is_refused_in_one_sentence(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(HistoryTooShort, match=told) as refused:
        plan_grid(spec(), OLDEST, NEWEST, **asked)
    assert "\n" not in str(refused.value)


def test_labels_that_come_after_the_end_of_history_are_refused() -> None:
    late = spec(data={"source": "a.csv", "time": "at", "target": "up", "label_delay": "200d"})
    with pytest.raises(HistoryTooShort, match="longer than the whole history"):
        plan_grid(late, OLDEST, NEWEST)


def test_rows_without_dates_are_refused() -> None:
    undated = spec(data={"source": "a.csv", "target": "up"}, split={"method": "random"})
    with pytest.raises(NoTime, match=r"data\.time"):
        plan_grid(undated, OLDEST, NEWEST)


def test_the_gates_need_a_holdout() -> None:
    grid = Grid(moments=(OLDEST, NEWEST), window=None, label_delay=timedelta())
    with pytest.raises(ValueError, match="holdout"):
        ReplayPlan(grid=grid, policies=(), takeover=Takeover.GATES, keeps_holdout=False)


def test_a_plan_survives_its_journey_as_json() -> None:
    grid = plan_grid(spec(), OLDEST, NEWEST)
    plan = ReplayPlan(grid=grid, policies=usual_policies(spec(), grid))
    assert ReplayPlan.model_validate_json(plan.model_dump_json()) == plan


def test_the_fewest_trainings_that_are_good_enough_are_recommended() -> None:
    found = recommend(
        spec(), [result("never", 0.7, 0), result("hybrid", 0.79, 9, 0.78), result("every", 0.8, 50)],
        timedelta(days=7), 0.1,
    )  # fmt: skip
    assert found is not None
    assert found.policy == "hybrid"
    assert "9 trainings instead of 50" in found.sentence
    assert "0.01 better than as many trainings at even distances" in found.sentence
    block = ModelSpec.model_validate({**spec().model_dump(mode="json"), **_yaml(found.yaml)})
    assert block.monitor is not None
    assert block.retrain.drift


def test_no_training_is_recommended_where_none_is_worth_it() -> None:
    found = recommend(spec(), [result("never", 0.8, 0), result("every", 0.8, 50)], timedelta(days=7), 0.1)
    assert found is not None
    assert found.policy == "never"
    assert "do not retrain without need" in found.sentence


def test_less_is_better_where_the_metric_says_so() -> None:
    regression = spec(task="regression", gates=[{"metric": "mae"}])
    found = recommend(regression, [result("never", 9.0, 0), result("schedule:7d", 1.0, 9, 1.0)], timedelta(days=1), 0.1)
    assert found is not None
    assert found.policy == "schedule:7d"
    assert _yaml(found.yaml)["retrain"]["schedule"] == "0 3 * * 1"


def test_what_cron_cannot_say_is_said_beside_it() -> None:
    asked = [result("never", 0.5, 0), result("schedule:10d", 0.9, 9)]
    found = recommend(spec(), asked, timedelta(days=1), 0.1)
    assert found is not None
    assert found.yaml.startswith("# Cron cannot say every 10d; this is three times a month.\n")
    assert _yaml(found.yaml)["retrain"]["schedule"] == "0 3 1,11,21 * *"


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def test_usual_policies_hold_the_references() -> None:
    names = [policy.kind for policy in usual_policies(spec(), plan_grid(spec(), OLDEST, NEWEST))]
    assert names[0] is PolicyKind.NEVER
    assert names[-1] is PolicyKind.EVERY
    assert Policy(kind=PolicyKind.HYBRID).watches
