import re
import unicodedata

import pytest

from understudy.contract.reason import SAYS_SOMETHING, reason_problem

BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and a sign that are drawn as nothing."""


@pytest.mark.parametrize(
    "reason", ["\u200b", "\u200b \u200d\ufeff", "\u2800", "\u3164", "\u00ad", "\u202e\u2066", "\ufe0f", "\U000e0041"]
)
def test_a_reason_that_nobody_can_see_is_none(reason: str) -> None:
    assert reason_problem(reason) == "has no character that can be seen"


@pytest.mark.parametrize("reason", ["a", " é ", "…", "原因", "\N{FIRE}", "\u200bso\u200b", "<b>", "\u202ea"])
def test_a_reason_of_any_script_says_something(reason: str) -> None:
    assert reason_problem(reason) is None
    assert re.search(SAYS_SOMETHING, reason)


def test_no_form_takes_a_character_that_is_drawn_as_nothing() -> None:
    unseen = {char for char in map(chr, range(0x10000)) if unicodedata.category(char) in {"Cc", "Cf", "Zs", "Zl", "Zp"}}
    # These are signs of their own, though Unicode counts them as marks of format: they span the digits that follow.
    spanning = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2")
    assert {char for char in (unseen | set(BLANKS)) - spanning if re.search(SAYS_SOMETHING, char)} == set()


def test_no_letter_is_taken_for_nothing() -> None:
    letters = {char for char in map(chr, range(0x10000)) if unicodedata.category(char)[0] in "LNPS"} - set(BLANKS)
    assert {char for char in letters if not re.search(SAYS_SOMETHING, char)} <= {"\ufffc", "\ufffd"}
