"""Which side a key is on: the same one everywhere, more of them the larger the share, and as many as it says."""

import math
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.contract.canary_split import CanarySplit, baseline_share
from understudy.contract.words import Role
from understudy.gateway.mirror import is_sampled

KEYS = [f"customer-{number}" for number in range(20_000)]
shares = st.floats(0.001, 1.0)
keys = st.text(max_size=50)


@given(keys, shares, shares)
def test_a_larger_share_keeps_every_key_of_a_smaller_one(key: str, one: float, other: float) -> None:
    smaller, larger = (CanarySplit("price", 7, share).assign(key).role for share in sorted((one, other)))
    assert (smaller is not Role.CANARY) or (larger is Role.CANARY)


@given(keys, shares)
def test_the_same_key_is_always_on_the_same_side_under_the_same_name(key: str, share: float) -> None:
    assert CanarySplit("price", 7, share).assign(key) == CanarySplit("price", 7, share).assign(key)


@given(keys)
def test_at_the_whole_share_the_canary_answers_everybody(key: str) -> None:
    assert CanarySplit("price", 7, 1.0).assign(key).role is Role.CANARY


@settings(max_examples=25, deadline=None)
@given(shares, st.integers(1, 10_000))
def test_as_many_keys_are_on_each_side_as_its_share_says(share: float, version: int) -> None:
    split = CanarySplit("price", version, share)
    counts = Counter(split.assign(key).role for key in KEYS)
    for role, expected in ((Role.CANARY, share), (Role.BASELINE, baseline_share(share))):
        # Six standard deviations: five in a thousand million examples lie further off.
        assert abs(counts[role] - expected * len(KEYS)) <= 6 * math.sqrt(expected * (1 - expected) * len(KEYS)) + 1


def test_an_update_moves_nobody_to_another_side() -> None:
    split = CanarySplit("price", 7, 0.3)
    assert {key: split.assign(key) for key in ("ann", "bob", "eve")} == {
        "ann": (Role.CHAMPION, "5f1c0b7c01cbf845"),
        "bob": (Role.BASELINE, "d3da04a16e1365c6"),
        "eve": (Role.CANARY, "0c0a4f13d39173f6"),
    }


def test_a_key_that_is_no_proper_text_has_a_side_too() -> None:
    assert CanarySplit("price", 7, 1.0).assign("caf\udce9").role is Role.CANARY


def test_places_are_uniform() -> None:
    bins = Counter(int(CanarySplit("price", 7, 0.5).assign(key).unit, 16) >> 58 for key in KEYS)
    expected = len(KEYS) / 64
    chi_square = sum((bins[place] - expected) ** 2 / expected for place in range(64))
    assert chi_square < 63 + 6 * math.sqrt(2 * 63)


def test_models_versions_and_the_mirror_do_not_share_their_keys() -> None:
    mine = {key for key in KEYS if CanarySplit("price", 7, 0.1).assign(key).role is Role.CANARY}
    others = {
        "model": {key for key in KEYS if CanarySplit("demand", 7, 0.1).assign(key).role is Role.CANARY},
        "version": {key for key in KEYS if CanarySplit("price", 8, 0.1).assign(key).role is Role.CANARY},
        "mirror": {key for key in KEYS if is_sampled(key, 0.1)},
    }
    for name, other in others.items():
        assert 120 < len(mine & other) < 280, name


def test_the_log_s_name_of_a_key_does_not_hold_the_key() -> None:
    unit = CanarySplit("price", 7, 0.1).assign("ann@example.org").unit
    assert len(unit) == 16
    assert int(unit, 16) >= 0
