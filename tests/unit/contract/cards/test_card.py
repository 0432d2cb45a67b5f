from typing import Any

import pytest

from tests.fleet_ledger import look
from tests.unit.contract.judges.monitor_reports import drift as drift_report
from tests.unit.contract.ledger_entries import bundle, entry, judgement, record
from understudy.contract.cards.card import card_of
from understudy.contract.cards.text import markdown, one_line
from understudy.contract.words import Change, EntryKind, LinkKind, Outcome, Verdict


@pytest.mark.parametrize("kind", list(EntryKind))
@pytest.mark.parametrize(
    "value", [None, [], {}, "text", 7, [None, {"gate": 1}], {"results": [None]}, {"champion": {"version": "x"}}]
)
def test_no_entry_is_too_broken_for_a_card(kind: EntryKind, value: object) -> None:
    names = ("verdict", "judgement", "report", "decision", "deployment", "answers", "cause", "outcome", "version")
    facts: dict[str, Any] = dict.fromkeys((*names, "taken_back", "label_shares", "challenger", "rows"), value)
    broken = entry(kind, **facts)
    card = card_of(broken, [broken.model_copy(update={"seq": seq}) for seq in (2, 3)])
    assert card.title
    assert markdown(card)


def test_what_an_entry_should_hold_and_does_not_is_named() -> None:
    card = card_of(entry(EntryKind.JUDGED, judgement={"verdict": "perhaps"}))
    assert card.missing == (
        "judgement of the ledger entry cannot be read by this version of Understudy",
        "report is not in the ledger entry",
    )
    assert "Missing" in markdown(card)


def test_a_rollback_names_what_left_and_what_returned() -> None:
    before = entry(EntryKind.DEPLOYED, 1, None, **record(Change.PROMOTION, 4, 8))
    card = card_of(entry(EntryKind.DEPLOYED, 3, None, **record(Change.ROLLBACK, 5, 7)), [before])
    assert card.title == "Version 8 was rolled back; version 7 serves again"
    assert (card.versions.champion, card.versions.other) == (7, 8)


def test_a_deployment_shows_the_judgements_of_its_run_and_of_no_other() -> None:
    mine = entry(EntryKind.JUDGED, 2, version=8, verdict="passed", judgement=judgement(Verdict.PASSED))
    other = entry(EntryKind.JUDGED, 3, "run2", version=9, verdict="failed", judgement=judgement(Verdict.FAILED))
    later = entry(EntryKind.GUARDED, 9, version=8, verdict="failed", judgement=judgement(Verdict.FAILED, "quality"))
    card = card_of(entry(EntryKind.DEPLOYED, 5, **record(Change.PROMOTION, 1, 8)), [later, other, mine])
    assert [evidence.seq for evidence in card.evidence] == [2]
    assert [step.title for step in card.followed] == ["Version 8 failed its probation"]


def test_of_a_canary_s_many_steps_the_newest_is_shown() -> None:
    steps = [
        entry(EntryKind.CANARIED, seq, version=8, verdict="passed", judgement=judgement(Verdict.PASSED))
        for seq in (2, 3, 4)
    ]
    card = card_of(entry(EntryKind.CONCLUDED, 5, outcome=Outcome.PROMOTED.value, version=8, champion=8), steps)
    assert [evidence.seq for evidence in card.evidence] == [4]
    assert card.title == "The retraining promoted version 8"


def test_a_retraining_whose_version_was_replaced_before_it_ended_promoted_that_version_all_the_same() -> None:
    card = card_of(entry(EntryKind.CONCLUDED, 5, outcome=Outcome.PROMOTED.value, version=8, champion=9))
    assert card.title == "The retraining promoted version 8"


def test_the_champion_once_more_is_called_so_whatever_a_gate_of_gain_says_of_it() -> None:
    no_gain = judgement(Verdict.FAILED, "roc_auc.gain")
    judged = entry(EntryKind.JUDGED, 2, is_champion_again=True, version=8, champion_version=7, judgement=no_gain)
    assert card_of(judged).title == "Version 8 is champion 7 once more, from the same rows"
    ended = entry(EntryKind.CONCLUDED, 3, outcome=Outcome.UNCHANGED.value, version=8, champion=7)
    assert card_of(ended, [judged]).title == "Version 8 is the champion once more; the champion stays"


def test_another_model_s_entries_say_nothing() -> None:
    stranger = entry(EntryKind.JUDGED, 2, judgement=judgement(Verdict.FAILED)).model_copy(update={"model": "load"})
    assert card_of(entry(EntryKind.REFUSED, 3, version=8), [stranger]).evidence == ()


def test_links_name_the_run_the_data_and_the_versions() -> None:
    begun = entry(EntryKind.TRIGGERED, 1, dag_id="retrain__price", run_id="manual__1")
    judged = entry(EntryKind.JUDGED, 2, version=8, champion_version=7, data_version="ab" * 32)
    links = {(link.kind, link.name) for link in card_of(judged, [begun]).links}
    assert links == {
        (LinkKind.DAG_RUN, "retrain__price/manual__1"),
        (LinkKind.REPORT, "price/8"),
        (LinkKind.DATA_VERSION, "ab" * 32),
        (LinkKind.RUN, "run1"),
        (LinkKind.MODEL_VERSION, "price/7"),
        (LinkKind.MODEL_VERSION, "price/8"),
    }


@pytest.mark.parametrize("kind", [EntryKind.DEPLOYED, EntryKind.HELD, EntryKind.LOCKED, EntryKind.MONITORED])
def test_whatever_names_its_run_in_airflow_leads_there_and_so_does_all_of_that_run(kind: EntryKind) -> None:
    acted = entry(kind, 2, dag_id="rollback", run_id="cockpit__1")
    for card in (card_of(acted), card_of(entry(EntryKind.DENIED, 1, version=8), [acted])):
        assert [link.name for link in card.links if link.kind is LinkKind.DAG_RUN] == ["rollback/cockpit__1"]


def test_a_rollback_says_whose_data_are_whose() -> None:
    denied = entry(EntryKind.DENIED, 2, version=8, data_version="bad")
    card = card_of(entry(EntryKind.DEPLOYED, 3, **record(Change.ROLLBACK, 5, 7)), [denied])
    assert [(link.name, link.about) for link in card.links if link.kind is LinkKind.DATA_VERSION] == [
        ("d", "version 7, which serves again"),
        ("bad", "version 8, which was taken back"),
    ]
    told = markdown(card)
    assert "- Data version: bad (version 8, which was taken back)" in told


def test_of_data_that_two_entries_name_it_is_said_once_whose_they_are() -> None:
    checked = entry(EntryKind.DATA_JUDGED, 1, verdict="passed", rows=9, data_version="ab")
    judged = entry(EntryKind.JUDGED, 2, version=8, data_version="ab")
    for card in (card_of(judged, [checked]), card_of(checked, [judged])):
        assert [(link.name, link.about) for link in card.links if link.kind is LinkKind.DATA_VERSION] == [
            ("ab", "version 8")
        ]


def test_a_record_beside_the_champion_says_nothing_of_the_champion_s_data() -> None:
    card = card_of(entry(EntryKind.DEPLOYED, 3, **record(Change.MIRROR_STARTED, 5, 7, mirror=bundle(8))))
    assert [link for link in card.links if link.kind is LinkKind.DATA_VERSION] == []


def test_a_look_names_the_rows_that_it_compared_and_with_what() -> None:
    told = look("price", 7, 1)
    drift = drift_report(reference_data="ref")
    told = told.model_copy(update={"report": told.report.model_copy(update={"drift": drift})})
    report = told.report
    card = card_of(entry(EntryKind.MONITORED, 4, **told.model_dump(mode="json")))
    assert [(link.kind, link.name, link.about) for link in card.links if link.about] == [
        (LinkKind.DATA_VERSION, "ref", "reference of version 7, which the rows were compared with"),
        (
            LinkKind.WINDOW,
            f"{report.window_start:%Y-%m-%d %H:%M} to {report.window_end:%Y-%m-%d %H:%M} UTC",
            "requests at the gateways that the look saw",
        ),
    ]


@pytest.mark.parametrize(
    ("is_due", "verdict", "kept"),
    [
        (True, Verdict.PASSED, True),
        (False, Verdict.FAILED, True),
        (False, Verdict.PASSED, False),
        (False, Verdict.INCONCLUSIVE, False),
    ],
)
def test_a_look_that_found_something_links_to_what_it_wrote(is_due: bool, verdict: Verdict, kept: bool) -> None:
    told = look("price", 7, 1, verdict)
    told = told.model_copy(update={"is_due": is_due, "reports_sha256": {"drift": "a" * 64}})
    card = card_of(entry(EntryKind.MONITORED, 4, **told.model_dump(mode="json")))
    assert [link.name for link in card.links if link.kind is LinkKind.LOOK_REPORT] == ["price/4/drift"] * kept


def test_a_window_is_compared_with_the_last_accepted_one() -> None:
    accepted = entry(EntryKind.DATA_JUDGED, 1, "run0", verdict="passed", rows=1000, label_shares={"0": 0.5, "1": 0.5})
    refused = entry(
        EntryKind.DATA_JUDGED, 4, verdict="failed", rows=400, bad_rows=90, label_shares={"0": 0.9, "1": 0.1}
    )
    assert card_of(refused, [accepted]).data_notes == (
        "400 rows, 90 of them with a bad cell; the last accepted window had 1,000",
        "label 0: 90.0% of the rows; it was 50.0%",
        "label 1: 10.0% of the rows; it was 50.0%",
    )


def test_one_line_says_model_decision_and_reason() -> None:
    told = one_line(card_of(entry(EntryKind.LOCKED, reason="black\nfriday", version=3)))
    assert told == "price: Version 3 was locked. black friday"


def test_a_card_begins_with_the_answer_that_decided() -> None:
    card = card_of(entry(EntryKind.JUDGED, reason="a long story", judgement=judgement(Verdict.FAILED)))
    assert card.headline == "roc_auc is 0.71"
    assert one_line(card).endswith(". roc_auc is 0.71")
    assert markdown(card).index("roc\\_auc is 0.71") < markdown(card).index("a long story")
    assert card_of(entry(EntryKind.JUDGED, judgement=judgement(Verdict.PASSED))).headline == ""
