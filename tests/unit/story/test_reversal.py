"""The times of a reversal come from the ledger's own entries."""

from datetime import datetime, timedelta, timezone

import pytest
from pydantic import JsonValue

from understudy.contract.release import GENESIS, Bundle, Deployment, LedgerEntry
from understudy.contract.words import Change, EntryKind
from understudy.story.reversal import reversal_of

FAULT_AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
BUNDLE = Bundle(
    model="m",
    version=1,
    model_sha256="d",
    image_digest="i",
    code_commit="c",
    spec_sha256="s",
    data_version="v",
    run="r",
    reference_data="v",
)
BACK = Deployment(model="m", epoch=7, change=Change.ROLLBACK, champion=BUNDLE, previous=None)
FORWARD = BACK.model_copy(update={"epoch": 5, "change": Change.PROMOTION})


def entry(after_s: float, kind: EntryKind, **facts: JsonValue) -> LedgerEntry:
    at = FAULT_AT + timedelta(seconds=after_s)
    return LedgerEntry(
        seq=1, at=at, model="m", kind=kind, actor="a", reason="r", run=None, facts=facts, prev_hash=GENESIS, hash=""
    )


def deployed(after_s: float, record: Deployment) -> LedgerEntry:
    return entry(after_s, EntryKind.DEPLOYED, epoch=record.epoch, deployment=record.model_dump(mode="json"))


def confirmed(after_s: float, epoch: int, *flips: float) -> LedgerEntry:
    return entry(after_s, EntryKind.CONFIRMED, epoch=epoch, acks=[{"flip_ms": flip} for flip in flips])


STORY = [
    deployed(-20, FORWARD),
    confirmed(-19, 5, 900.0),
    entry(-5, EntryKind.GUARDED, verdict="failed"),
    entry(30, EntryKind.GUARDED, verdict="failed"),
    entry(30.2, EntryKind.DENIED, version=2),
    deployed(30.2, BACK),
    confirmed(30.5, 7, 2.5, 4.0),
]


def test_a_reversal_is_timed_from_the_fault_to_the_last_gateways_word() -> None:
    found = reversal_of(STORY, FAULT_AT)
    assert found is not None
    assert (found.version, found.detected_s, found.confirmed_ms, found.flip_ms) == (2, 30.0, 500.0, 4.0)
    assert found.confirmed_at == FAULT_AT + timedelta(seconds=30.5)


@pytest.mark.parametrize("missing", range(3, 7))
def test_a_reversal_that_is_not_whole_has_no_times(missing: int) -> None:
    assert reversal_of(STORY[:missing] + STORY[missing + 1 :], FAULT_AT) is None


def test_a_confirmation_without_a_gateways_word_is_none() -> None:
    assert reversal_of([*STORY[:-1], confirmed(31, 7)], FAULT_AT) is None
