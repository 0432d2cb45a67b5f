from datetime import datetime, timezone

from understudy.cli.ledger import answers_of
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.release import GENESIS, LedgerEntry
from understudy.contract.words import EntryKind, Verdict


def entry(kind: EntryKind, facts: dict[str, object]) -> LedgerEntry:
    return LedgerEntry.model_validate(
        {
            "seq": 1,
            "at": datetime(2026, 1, 1, tzinfo=timezone.utc),
            "model": "price",
            "kind": kind,
            "actor": "ann",
            "reason": "all gates passed",
            "run": None,
            "facts": facts,
            "once_key": None,
            "prev_hash": GENESIS,
            "hash": "",
        }
    )


def test_a_judgement_tells_each_gate_with_its_number() -> None:
    gate = GateResult(
        gate="roc_auc.floor",
        verdict=Verdict.PASSED,
        measured=0.81,
        bound="0.75",
        sentence="roc_auc is 0.81",
    )
    judged = Judgement(verdict=Verdict.PASSED, results=(gate,))
    lines = answers_of(entry(EntryKind.JUDGED, {"judgement": judged.model_dump(mode="json")}))
    assert [line.split() for line in lines] == [["passed", "roc_auc.floor", "roc_auc", "is", "0.81"]]


def test_other_entries_have_no_gates() -> None:
    assert answers_of(entry(EntryKind.CONFIRMED, {"version": 1})) == []
