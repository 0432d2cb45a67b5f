"""A decision card as text: Markdown for people, one line for an alert. Whatever a reason holds, it stays text."""

import re
from collections.abc import Iterable, Sequence

from understudy.contract.cards.card import Card
from understudy.contract.cards.places import NOWHERE, Pages, place_of
from understudy.contract.judgement import GateResult, is_usable
from understudy.contract.moment import moment_to_the_second
from understudy.contract.printable import printable_line
from understudy.contract.reports import Comparison, ModelDelta, Number
from understudy.contract.words import EntryKind

LONGEST_REASON = 2_000
LONGEST_NAME = 200
LONGEST_LINE = 300
SHOWN_ANSWERS = 30
"""So many answers of one judgement are shown, those that did not pass first."""
ABSENT = "not measured"
NO_INTERVAL = "none"
_SPECIAL = re.compile(r"([\\`*_\[\]|~#!$])")
_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LIST_SIGN = re.compile(r"^([-+]|\d+(?=[.)]))")


def markdown(card: Card, pages: Pages = NOWHERE) -> str:
    """Write the whole card; every word of it that is not ours is escaped.

    :param pages: where the card and what it points to can be read.
    """
    title = escaped(f"{card.model}: {card.title}", LONGEST_NAME)
    parts = [
        f"### {_linked(title, pages.card(card.model, card.seq))}",
        "\n".join(f"- **{name}**: {value}" for name, value in _facts(card)),
        *_evidence(card),
        *_section("What is different about the data", [*_table(card.data), *_bullets(card.data_notes)]),
        *_section("Challenger and champion", [*_metrics(card.metrics), *_bullets(delta_lines(card.delta))]),
        *_section("Read on", _links(card, pages)),
        *_section("What followed", _bullets(f"entry {step.seq}: {step.title}" for step in card.followed)),
        *_section("Missing", _bullets(card.missing)),
    ]
    return "\n\n".join(parts) + "\n"


def one_line(card: Card, longest: int = LONGEST_LINE) -> str:
    """Say model, decision and what decided in one line of plain text, cut where it is too long."""
    # Who has changed what serves is asked first; of a verdict it is nobody.
    by = f", by {card.actor}" if card.kind in {EntryKind.DEPLOYED, EntryKind.BROKE_GLASS} else ""
    return shortened(f"{card.model}: {card.title}{by}. {card.headline or card.reason}", longest)


def escaped(text: str, longest: int = LONGEST_REASON) -> str:
    """Make text safe within one line or cell of Markdown, tables and HTML included."""
    line = _SPECIAL.sub(r"\\\1", shortened(text, longest))
    return _LIST_SIGN.sub(r"\\\1" if line[:1] in "-+" else r"\1\\", "".join(_MARKS.get(sign, sign) for sign in line))


def shortened(text: str, longest: int) -> str:
    """Bring text into one printable line of a largest length, and say how much was left out."""
    line = " ".join(printable_line(text).split())
    if len(line) <= longest:
        return line
    room = longest - len(_rest(len(line)))
    kept = line[: max(room, 0)].rstrip()
    return kept + _rest(len(line) - len(kept))


def number(value: Number) -> str:
    """Write a measured number in four digits, and a missing one as such."""
    if value is None or not is_usable(value):
        return ABSENT
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def interval(low: Number, high: Number) -> str:
    """Write an interval that may be open at either end."""
    if low is None and high is None:
        return NO_INTERVAL
    return f"{'-∞' if low is None else number(low)} to {'∞' if high is None else number(high)}"


def limits(answer: GateResult) -> str:
    """Write an answer's interval, or say what stands in its place."""
    return (
        interval(answer.low, answer.high) if has_interval(answer) else _of_number(answer, answer.basis) or NO_INTERVAL
    )


def has_interval(answer: GateResult) -> bool:
    """Tell an answer with an interval from one without."""
    return answer.low is not None or answer.high is not None


def measured_in_short(answer: GateResult) -> str:
    """Write number, name and interval of an answer in one clause."""
    beside = limits(answer)
    named = " ".join(part for part in (number(answer.measured), _of_number(answer, answer.what)) if part)
    return named if beside == NO_INTERVAL else f"{named} ({beside})"


def shown(answers: Iterable[GateResult]) -> list[GateResult]:
    """Order answers for reading: those that decide against it first; as many as a person reads."""
    return sorted(answers, key=lambda answer: answer.verdict.value == "passed")[:SHOWN_ANSWERS]


def delta_lines(delta: ModelDelta | None) -> Iterable[str]:
    """Say how differently the challenger answers, one line for each number."""
    if delta is None:
        return
    for what, share in (
        ("answers that changed", delta.churn_share),
        ("right answers that became wrong", delta.negative_flip_share),
        ("wrong answers that became right", delta.positive_flip_share),
    ):
        if share is not None:
            yield f"{what}: {share:.1%}"


def _rest(characters: int) -> str:
    return f" … ({characters:,} more characters in the ledger)"


def _facts(card: Card) -> Iterable[tuple[str, str]]:
    if card.verdict is not None:
        yield "Verdict", card.verdict.value
    if card.fired:
        yield "What fired", escaped(card.fired)
    yield "Decided by", escaped(card.actor, LONGEST_NAME)
    if card.headline:
        yield "In short", escaped(card.headline)
    yield "Reason", escaped(card.reason) or "none was given"
    yield "When", moment_to_the_second(card.at)
    for name, version in (("Champion", card.versions.champion), ("Other version", card.versions.other)):
        if version is not None:
            yield name, f"version {version}"
    if card.without_run:
        yield "Run in Airflow", card.without_run
    yield "Ledger entry", str(card.seq)


def _evidence(card: Card) -> Iterable[str]:
    for one in card.evidence:
        verdict = f": {one.verdict}" if one.verdict is not None else ""
        heading = f"{one.kind.spoken.capitalize()}{verdict} (entry {one.seq})"
        body = [*_table(shown(one.answers))]
        left = len(one.answers) - SHOWN_ANSWERS
        body += [f"- and {left} more that passed or are like these"] if left > 0 else []
        yield from _section(heading, body or [f"- {escaped(one.sentence) or 'no answers were recorded'}"])


def _section(heading: str, lines: Iterable[str]) -> Iterable[str]:
    listed = list(lines)
    if listed:
        yield f"#### {heading}"
        yield "\n".join(listed).rstrip()


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {escaped(line)}" for line in lines]


def _links(card: Card, pages: Pages) -> Iterable[str]:
    for place in (place_of(link, pages) for link in card.links):
        about = f" ({escaped(place.about, LONGEST_NAME)})" if place.about else ""
        yield f"- {place.title}: {_linked(escaped(place.name, LONGEST_NAME), place.address)}{about}"


def _table(answers: Iterable[GateResult]) -> list[str]:
    rows = [
        (
            escaped(answer.gate, LONGEST_NAME),
            " ".join(part for part in (number(answer.measured), escaped(_of_number(answer, answer.what))) if part),
            limits(answer) if has_interval(answer) else escaped(limits(answer), LONGEST_NAME),
            escaped(answer.bound, LONGEST_NAME),
            answer.verdict.value,
            escaped(answer.sentence),
        )
        for answer in answers
    ]
    return _rows(("question", "value", "interval", "threshold", "verdict", "in words"), rows)


def _metrics(metrics: Iterable[Comparison]) -> list[str]:
    rows = [
        (
            escaped(one.metric, LONGEST_NAME),
            number(one.challenger),
            "none" if one.other is None else number(one.other),
            "none" if one.gain is None else number(one.gain),
            interval(one.gain_low, one.gain_high),
            f"{one.rows:,}",
        )
        for one in metrics
    ]
    return _rows(("metric", "challenger", "champion", "gain", "interval of the gain", "rows"), rows)


def _rows(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    return [_row(heads), _row("---" for _ in heads), *(_row(row) for row in rows), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _of_number(answer: GateResult, told: str) -> str:
    """Give what is said of a number; nothing where none was measured."""
    return "" if answer.measured is None else told


def _linked(text: str, address: str | None) -> str:
    """Make text a link; no character of the address may end it."""
    if address is None:
        return text
    kept = re.sub(r"[()<>\s]", lambda sign: f"%{ord(sign[0]):02X}", address)
    return f"[{text}]({kept})"
