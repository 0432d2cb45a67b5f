from datetime import timedelta

from tests.fleet_ledger import BEGAN, look
from understudy.contract.release import LedgerEntry
from understudy.contract.words import EntryKind
from understudy.ui.history import plots


def looked(number: int, metric: str) -> LedgerEntry:
    told = look("demand", 2, number)
    quality = told.report.quality
    assert quality is not None
    report = told.report.model_copy(update={"quality": quality.model_copy(update={"metric": metric})})
    facts = told.model_copy(update={"report": report}).model_dump(mode="json")
    return LedgerEntry(
        seq=number, at=BEGAN + timedelta(hours=number), model="demand", kind=EntryKind.MONITORED, actor="scheduled",
        reason="nothing", run=None, facts=facts, prev_hash="0" * 64, hash="",
    )  # fmt: skip


def test_values_of_a_metric_that_is_measured_no_more_are_neither_drawn_nor_listed_as_the_newer_one() -> None:
    told = plots([looked(1, "log_loss"), looked(2, "log_loss"), looked(3, "roc_auc"), looked(4, "roc_auc")], [], 0.3)
    assert told.metric == "roc_auc"
    assert told.quality is not None
    assert len(told.quality.dots) == 2
    assert [one.quality is None for one in told.looks] == [False, False, True, True]
    assert told.drift is not None
    assert len(told.drift.dots) == 4
