"""What a deployment record may say, and what follows from it for callers."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.hooks.demand import bundle, record
from understudy.contract.release import Deployment


@pytest.mark.parametrize(
    ("digest", "is_of_an_image"),
    [("sha256:1", True), ("", False), ("process:1", False)],
    ids=["image", "none", "process"],
)
def test_what_no_container_trained_is_of_no_image(digest: str, is_of_an_image: bool) -> None:
    assert bundle(1).model_copy(update={"image_digest": digest}).is_of_an_image is is_of_an_image


def test_a_canary_has_a_fresh_copy_of_the_champion_beside_it_and_gives_its_callers_back() -> None:
    canary = record(2, 1).model_copy(update={"canary": bundle(2), "canary_share": 0.25})
    assert (canary.baseline_share, record(2, 1).baseline_share) == (0.25, 0.0)
    assert canary.without_canary() == record(2, 1)


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({"mirror": bundle(2), "mirror_share": 0.5, "canary": bundle(3), "canary_share": 0.1}, "a mirror or a canary"),
        ({"canary": bundle(2)}, "go together"),
        ({"canary_share": 0.1}, "go together"),
    ],
    ids=["both", "no share", "nobody"],
)
def test_a_record_that_makes_no_sense_is_none(beside: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Deployment.model_validate({**record(2, 1).model_dump(), **beside})


def test_a_champion_begins_with_its_own_record_and_keeps_its_beginning() -> None:
    assert record(3, 1).champion_since == 3
    later = Deployment.model_validate({**record(5, 1).model_dump(), "champion_since": 3})
    assert (later.champion_since, Deployment.model_validate(later)) == (3, later)
