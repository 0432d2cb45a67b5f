"""A decision card in the terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from understudy.cli.row import print_row
from understudy.contract.cards.card import Card
from understudy.contract.cards.links import Link
from understudy.contract.cards.text import delta_lines, interval, measured_in_short, number, shortened, shown
from understudy.contract.judgement import GateResult
from understudy.contract.moment import moment_to_the_second
from understudy.contract.words import EntryKind

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 2_000
DECISIVE = (
    EntryKind.CONCLUDED,
    EntryKind.DEPLOYED,
    EntryKind.GUARDED,
    EntryKind.REFUSED,
    EntryKind.JUDGED,
    EntryKind.BROKE_GLASS,
)


def telling(cards: Sequence[Card]) -> Card:
    """Choose the one of several cards that says most about how it ended: the last decision, else the last of all."""
    return next((card for card in reversed(cards) if card.kind in DECISIVE), cards[-1])


def print_card(console: "Console", card: Card) -> None:
    """Print the whole card; whatever its texts hold, they are printed as they are, on one line each."""
    console.print(f"{card.model}: {card.title}", style="bold")
    for name, value in _facts(card):
        print_row(console, f"  {name:<14} {shortened(value, LONGEST)}")
    for one in card.evidence:
        verdict = f": {one.verdict}" if one.verdict is not None else ""
        heading = f"{one.kind.spoken.capitalize()}{verdict} (entry {one.seq})"
        _section(console, heading, _answers(one.answers) or [shortened(one.sentence, LONGEST)])
    _section(console, "What is different about the data", [*_answers(card.data), *card.data_notes])
    _section(
        console,
        "Challenger and champion",
        [
            *(
                f"{one.metric:<20} {number(one.challenger)} against "
                f"{number(one.other) if one.other is not None else 'no champion'}"
                + (
                    f", gain {number(one.gain)} ({interval(one.gain_low, one.gain_high)})"
                    if one.gain is not None
                    else ""
                )
                for one in card.metrics
            ),
            *delta_lines(card.delta),
        ],
    )
    _section(console, "Read on", map(_link, card.links))
    _section(console, "What followed", (f"{step.seq:>5}  {step.title}" for step in card.followed))
    _section(console, "Missing", card.missing)


def _facts(card: Card) -> Iterable[tuple[str, str]]:
    if card.verdict is not None:
        yield "verdict", card.verdict.value
    if card.fired:
        yield "what fired", card.fired
    yield "decided by", card.actor
    yield "reason", card.reason
    yield "when", moment_to_the_second(card.at)
    for name, version in (("champion", card.versions.champion), ("other version", card.versions.other)):
        if version is not None:
            yield name, f"version {version}"
    if card.without_run:
        yield "run in Airflow", card.without_run
    yield "ledger entry", str(card.seq)


def _answers(answers: Iterable[GateResult]) -> list[str]:
    return [
        f"{answer.verdict:<12} {answer.gate:<28} {measured_in_short(answer)}; {answer.bound}; "
        f"{shortened(answer.sentence, LONGEST)}"
        for answer in shown(answers)
    ]


def _link(link: Link) -> str:
    about = f" ({link.about})" if link.about else ""
    return f"{link.kind.value.replace('_', ' '):<14} {link.name}{about}"


def _section(console: "Console", heading: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    if listed:
        console.print()
        console.print(heading)
    for line in listed:
        print_row(console, f"  {line}")
