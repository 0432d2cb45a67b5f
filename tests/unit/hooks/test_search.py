"""The search asks and tells through one journal, forgets nothing on a retry, and survives lost trials."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from understudy.contract.declaration.train import TrainSpec
from understudy.contract.reports import TrialReport
from understudy.hooks.search import EveryTrialLost, Search, rounds

TRAIN = TrainSpec.model_validate(
    {
        "search": {
            "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
            "max_leaf_nodes": {"low": 7, "high": 63},
            "criterion": {"choices": ["a", "b"]},
        },
        "budget": 6,
        "parallelism": 4,
        "seed": 7,
    }
)


def opened(folder: Path, metric: str = "roc_auc") -> Search:
    return Search(folder / "journal.log", "price", TRAIN, metric)


def returned(point: dict[str, Any], value: float | None) -> TrialReport:
    return TrialReport(
        number=point["number"], params=point["params"], metric="roc_auc", value=value, rows_trained=1, rows_validated=1
    )


def test_the_budget_is_split_into_rounds() -> None:
    assert rounds(TRAIN) == (4, 2)
    assert rounds(TrainSpec()) == ()


def test_a_retried_ask_returns_the_same_points(tmp_path: Path) -> None:
    first = opened(tmp_path).ask(4, 1)
    assert opened(tmp_path).ask(4, 1) == first


def test_the_same_seed_gives_the_same_search(tmp_path: Path) -> None:
    journeys = []
    for name in ("a", "b"):
        points = opened(tmp_path / name).ask(4, 1)
        opened(tmp_path / name).tell([returned(p, p["params"]["learning_rate"]) for p in points])
        journeys.append((points, opened(tmp_path / name).ask(2, 2)))
    assert journeys[0] == journeys[1]


def test_lost_and_unusable_trials_are_given_up_and_the_rest_decides(tmp_path: Path) -> None:
    points = opened(tmp_path).ask(4, 1)
    opened(tmp_path).tell([returned(points[0], 0.6), returned(points[1], 0.9), returned(points[2], float("nan"))])
    assert opened(tmp_path).best() == points[1]["params"]


def test_a_metric_where_less_is_better_is_minimised(tmp_path: Path) -> None:
    points = opened(tmp_path, "log_loss").ask(2, 1)
    opened(tmp_path, "log_loss").tell([returned(points[0], 0.6), returned(points[1], 0.9)])
    assert opened(tmp_path, "log_loss").best() == points[0]["params"]


def test_a_search_without_any_value_says_what_to_do(tmp_path: Path) -> None:
    search = opened(tmp_path)
    search.ask(4, 1)
    search.tell([])
    with pytest.raises(EveryTrialLost, match=r"None of the 4 trials.*log of a trial task"):
        search.best()
    with pytest.raises(EveryTrialLost, match=r"value: no such parameter\. Correct that and start a new run"):
        search.best(["no such parameter.", "something else"])


def test_a_trial_that_was_given_up_and_comes_back_counts_once(tmp_path: Path) -> None:
    points = opened(tmp_path).ask(4, 1)
    opened(tmp_path).tell([returned(points[0], 0.6)])
    for _ in range(2):
        opened(tmp_path).tell([returned(points[0], 0.6), returned(points[1], 0.9)])
    assert opened(tmp_path).best() == points[1]["params"]
    assert opened(tmp_path).ask(4, 1) == points
    assert len(opened(tmp_path)._study(0).get_trials()) == 5


def test_the_champions_point_is_tried_first_where_it_fits_the_space(tmp_path: Path) -> None:
    champion: dict[str, JsonValue] = {"learning_rate": 0.1, "max_leaf_nodes": 31, "criterion": "b"}
    assert opened(tmp_path).ask(2, 1, champion)[0]["params"] == champion
    other = opened(tmp_path / "other").ask(2, 1, {"learning_rate": 0.1})
    assert all(set(p["params"]) == set(TRAIN.search) for p in other)
