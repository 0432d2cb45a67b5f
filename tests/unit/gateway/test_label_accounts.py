"""Every label that a gateway keeps was used, or is counted with the reason why not."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.gateway.segment import NOON, a_row, label, write
from understudy.contract.serving import LabelAccounts
from understudy.gateway.log.compact import compact
from understudy.gateway.log.label_accounts import count_labels, size_of
from understudy.gateway.log.labels import Label


def named(minutes: int) -> str:
    """Name a request as the gateway would have, so many minutes after noon."""
    at_ns = int((NOON + timedelta(minutes=minutes)).timestamp()) * 10**9
    return f"{at_ns:016x}" + "0" * 16


@pytest.mark.parametrize("is_compacted", [False, True])
def test_each_label_is_counted_once_and_says_what_became_of_it(tmp_path: Path, is_compacted: bool) -> None:
    write(tmp_path, a_row(named(1), predictions=[0, 1], client="order-7"), a_row(named(2)))
    if is_compacted:
        compact(tmp_path)
    label(
        tmp_path,
        Label(named(1), None, 0, 1, 1),
        Label(None, "order-7", 0, True, 2),  # the same row by the caller's name, and the same class
        Label(named(1), None, 0, 0, 3),
        Label(None, "order-7", 1, "1", 4),
        Label(named(2), None, 0, 2.5, 5),
        Label(named(2), None, 1, 2.5, 6),  # a row that the request did not have
        Label(named(-600), None, 0, 1, 7),  # older than all that is kept
        Label("nobody's", None, 0, 1, 8),
        Label(None, "order-8", 0, 1, 9),
    )
    found = count_labels(tmp_path)
    assert found.accounts == LabelAccounts(given=9, matched=3, duplicate=1, contradictory=1, late=1, unmatched=3)
    assert found.bytes_read == size_of(tmp_path) > 0


def test_the_row_of_a_name_that_was_used_twice_is_the_newest(tmp_path: Path) -> None:
    write(tmp_path, a_row(named(1), client="again"), a_row(named(2), client="again", at=NOON + timedelta(minutes=2)))
    label(tmp_path, Label(None, "again", 0, 1, 1), Label(named(2), None, 0, 1, 2))
    assert count_labels(tmp_path).accounts == LabelAccounts(given=2, matched=1, duplicate=1)


def test_without_labels_nothing_is_read(tmp_path: Path) -> None:
    write(tmp_path, a_row(named(1)))
    assert size_of(tmp_path) == 0
    assert count_labels(tmp_path).accounts == LabelAccounts()


def test_labels_without_any_prediction_are_unmatched(tmp_path: Path) -> None:
    label(tmp_path, Label(named(1), None, 0, 1, 1))
    assert count_labels(tmp_path).accounts == LabelAccounts(given=1, unmatched=1)
