"""What a person sees of a card whose texts were written by somebody hostile, told by a real Markdown parser."""

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.unit.contract.ledger_entries import entry, record
from understudy.contract.cards.card import Card, card_of
from understudy.contract.cards.places import Pages
from understudy.contract.cards.text import LONGEST_REASON, escaped, markdown, number, one_line, shortened
from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.words import Change, EntryKind, Verdict

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/pixel.png)",
    "a | b | c",
    "`code` **bold** _it_ ~~gone~~ $x$",
    "line one\n\n# A heading\n\n- a list\n\n| a | b |\n| - | - |",
    "# heading",
    "1. first",
    "- dash",
    "+ plus",
    "\\",
    "trailing \\|",
    "&lt;b&gt; &amp;",
    "'; DROP TABLE ledger; --",
    "\x00\x1b[31mred\u202e reversed \u2028 line",
    "<!channel> <@U123> @here",
]


def hostile_card(text: str) -> Card:
    answer = GateResult(
        gate=text, verdict=Verdict.FAILED, measured=0.5, what=text, basis=text, bound=text, sentence=text
    )
    judged = Judgement(verdict=Verdict.FAILED, results=(answer,)).model_dump(mode="json")
    return card_of(entry(EntryKind.JUDGED, reason=text, version=2, verdict="failed", judgement=judged))


def rendered(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    page, tame = rendered(markdown(hostile_card(text))), rendered(markdown(hostile_card("tame")))
    assert "<table" in tame
    assert _tags(page) == _tags(tame)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.isprintable()])
def test_and_reads_as_it_was_written(text: str) -> None:
    inline = MarkdownIt().parseInline(escaped(text))[0].children or []
    assert "".join(token.content for token in inline) == text


def test_ten_thousand_characters_are_cut_and_counted() -> None:
    told = markdown(hostile_card("x" * 10_000))
    assert "more characters in the ledger)" in told
    assert len(told) < 5 * LONGEST_REASON
    assert len(one_line(hostile_card("x" * 10_000))) <= 300


@pytest.mark.parametrize("length", [300, 301, 310, 1_234, 10_000])
def test_a_cut_line_is_no_longer_than_it_may_be_and_counts_all_that_it_leaves_out(length: int) -> None:
    line = shortened("x" * length, 300)
    assert len(line) <= 300
    left = re.search(r"([0-9,]+) more characters", line)
    assert line.count("x") + (int(left[1].replace(",", "")) if left else 0) == length


def test_a_number_is_never_only_a_colour() -> None:
    told = markdown(hostile_card("too low"))
    assert "| too low | 0.5 too low | too low | too low | failed | too low |" in told


@pytest.mark.parametrize(
    ("facts", "cells"),
    [
        ({"measured": 0.94, "what": "fall of roc", "low": 0.9, "high": 1.5}, "0.94 fall of roc | 0.9 to 1.5"),
        ({"measured": 3.0, "what": "rows", "basis": "counted"}, "3 rows | counted"),
        ({"measured": 0.5}, "0.5 | none"),
        ({"what": "seconds", "basis": "counted"}, "not measured | none"),
    ],
    ids=["an interval", "none by nature", "none, nobody knows why", "no number"],
)
def test_a_number_is_told_with_its_name_and_its_interval_or_what_stands_for_it(
    facts: dict[str, Any], cells: str
) -> None:
    answer = GateResult(gate="quality", verdict=Verdict.FAILED, bound="less", sentence="so", **facts)
    judged = Judgement(verdict=Verdict.FAILED, results=(answer,)).model_dump(mode="json")
    told = markdown(card_of(entry(EntryKind.JUDGED, version=2, verdict="failed", judgement=judged)))
    assert f"| quality | {cells} | less |" in told


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "not measured"), (float("nan"), "not measured"), (float("inf"), "not measured"), (12345.0, "12,345"),
     (0.123456, "0.1235"), (1e-7, "1e-07"), (0.0, "0")],
)  # fmt: skip
def test_numbers_are_written_in_four_digits(value: float | None, told: str) -> None:
    assert number(value) == told


def test_an_address_cannot_end_its_link() -> None:
    page = rendered(markdown(hostile_card("tame"), Pages(own="https://airflow/x?a=(b) <script>")))
    assert 'href="https://airflow/x?a=%28b%29%20%3Cscript%3E/models/price/cards/1"' in page


def test_what_a_card_points_to_are_links_where_there_are_pages() -> None:
    pages = Pages(own="https://airflow/understudy", airflow="https://airflow")
    page = rendered(markdown(hostile_card("tame"), pages))
    assert 'Report: <a href="https://airflow/understudy/models/price/versions/2/report">version 2</a>' in page
    assert "Version in MLflow: version 2" in page
    assert "<a" not in rendered(markdown(hostile_card("tame")))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_of_a_run_ends_its_link(text: str) -> None:
    pages = Pages(own="https://airflow/understudy", airflow="https://airflow")
    acted, tame = (entry(EntryKind.HELD, dag_id="hold", run_id=name) for name in (text, "tame"))
    assert [tag.partition(" ")[0] for tag in _tags(rendered(markdown(card_of(acted), pages)))] == [
        tag.partition(" ")[0] for tag in _tags(rendered(markdown(card_of(tame), pages)))
    ]


def _tags(page: str) -> list[str]:
    return [piece.split(">")[0] for piece in page.split("<")[1:]]


@pytest.mark.parametrize(
    ("actor", "run", "is_typed"),
    [("ann@host (command line)", None, True), ("ann", "run1", False), ("housekeeping", None, False)],
)
def test_a_rollback_names_who_did_it_and_says_where_no_run_belongs_to_it(
    actor: str, run: str | None, is_typed: bool
) -> None:
    back = entry(EntryKind.DEPLOYED, 4, run, "answers nonsense", **record(Change.ROLLBACK, 5, 7))
    card = card_of(back.model_copy(update={"actor": actor}))
    assert one_line(card) == f"price: A version was rolled back; version 7 serves again, by {actor}. answers nonsense"
    assert ("- **Run in Airflow**: none, it was typed in a terminal" in markdown(card)) is is_typed


def test_a_verdict_is_told_without_a_name() -> None:
    assert one_line(hostile_card("tame")).startswith("price: Version 2 was declined: it failed a gate")
    assert ", by " not in one_line(hostile_card("tame"))
