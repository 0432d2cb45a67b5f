import io

from tests.unit.contract.ledger_entries import entry
from understudy.cli.card_page import print_card, telling
from understudy.cli.page import Page
from understudy.contract.cards.card import card_of
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.words import EntryKind, Verdict


def page_of(reason: str = "because") -> str:
    gate = GateResult(
        gate="roc_auc.floor", verdict=Verdict.FAILED, measured=0.71, low=0.69, bound="at least 0.75", sentence="low"
    )
    judged = Judgement(verdict=Verdict.FAILED, results=(gate,)).model_dump(mode="json")
    card = card_of(entry(EntryKind.JUDGED, reason=reason, version=2, verdict="failed", judgement=judged))
    page = io.StringIO()
    print_card(Page(file=page), card)
    return page.getvalue()


def test_each_gate_is_told_with_value_interval_threshold_and_verdict() -> None:
    line = next(line for line in page_of().splitlines() if "roc_auc.floor" in line)
    assert line.split() == ["failed", "roc_auc.floor", "0.71", "(0.69", "to", "∞);", "at", "least", "0.75;", "low"]


def test_a_reason_is_printed_as_it_is_and_moves_no_cursor() -> None:
    page = page_of(reason="[red]not markup[/red] \x1b[31m\r\nnext")
    assert "[red]not markup[/red] [31m next" in page
    assert "\x1b" not in page


def test_of_a_version_s_cards_the_last_decision_is_shown_whole() -> None:
    cards = [card_of(entry(kind, seq)) for seq, kind in enumerate((EntryKind.JUDGED, EntryKind.DENIED), 1)]
    assert telling(cards).kind is EntryKind.JUDGED
    assert telling(cards[1:]).kind is EntryKind.DENIED
