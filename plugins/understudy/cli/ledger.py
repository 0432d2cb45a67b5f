"""``understudy ledger``: every decision, who made it and why."""

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.card_page import print_card, telling
from understudy.cli.deployment import hooks, require_model
from understudy.cli.errors import BROKEN, BadArgument
from understudy.cli.row import print_row
from understudy.contract.cards.card import Card, card_of
from understudy.contract.cards.text import markdown
from understudy.contract.moment import moment, moment_to_the_second
from understudy.contract.release import Deployment, LedgerEntry

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.hooks.ledger.chain import ChainCheck
    from understudy.hooks.ledger.ledger import Ledger

VERIFY = "Check that no entry was changed or taken out; that the end was cut off shows with --against only."
CUT_OFF = "Only a backup can tell whether newer ones were cut off: --verify --against FOLDER."
NOTHING = "The ledger holds nothing about that."
Model = Annotated[str | None, typer.Argument(help="One model; all of them when left out.")]


def ledger(
    model: Model = None,
    *,
    why: Annotated[
        int | None, typer.Option(metavar="VERSION", help="What led to this version of the model, and what befell it.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Who was champion then, for example 2026-11-21T08:00+01:00.")
    ] = None,
    card: Annotated[
        int | None, typer.Option(metavar="ENTRY", help="One decision whole: its numbers, its data, where to read on.")
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="With --card: as the Markdown that approvals and alerts have.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help=VERIFY)] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="With --verify: a backup whose newest entry the ledger must still hold, unchanged."
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest entries to show.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Tell who decided what, and by which numbers."""
    if sum(asked for asked in (why is not None, at is not None, card is not None, verify)) > 1:
        raise BadArgument("--why, --at, --card and --verify", "exclude each other", "Give one of them.")
    if (why is not None or at is not None) and model is None:
        raise BadArgument(
            "MODEL",
            "is missing",
            f"Write: understudy ledger MODEL {'--why VERSION' if why is not None else '--at TIME'}",
        )
    _refuse_alone("--markdown", as_markdown, "--card ENTRY", card is not None)
    _refuse_alone("--against", against is not None, "--verify", verify)
    if model is not None and not verify:
        require_model(hooks(), model)
    if verify:
        _verify(against, as_json)
    elif at is not None and model is not None:
        _champion_at(model, parse_moment(at, "--at"), as_json)
    elif card is not None:
        from understudy.hooks.cards import card as card_at

        found = card_at(hooks().ledger, card)
        answer(as_json, found, lambda console: _card(console, found, as_markdown))
    elif why is not None and model is not None:
        told = hooks().ledger.why(model, why)
        if not told:
            problem = f"is not a version of {model} that the ledger knows"
            raise BadArgument(f"--why {why}", problem, f"See: understudy ledger {model}")
        cards = [card_of(entry, told) for entry in told]
        answer(as_json, cards, lambda console: _why(console, cards))
    else:
        entries = hooks().ledger.entries(model, limit=last, newest_first=True)[::-1]
        answer(as_json, entries, lambda console: _list(console, entries))


def _verify(against: Path | None, as_json: bool) -> None:
    known = hooks().ledger
    found = known.verify()
    if found.ok:
        found = _held_against(against, found, known) if against else _with(found, CUT_OFF)
    answer(as_json, found, lambda console: console.print(found.sentence))
    if not found.ok:
        raise typer.Exit(BROKEN)


def _held_against(backup: Path, found: "ChainCheck", known: "Ledger") -> "ChainCheck":
    """Look for a backup's newest entry: every entry holds the hash of the one before, so it stands for all of them."""
    from understudy.backup import manifest

    taken = manifest.read(backup)
    newest = next(iter(known.entries(after=taken.entries - 1, limit=1)), None)
    if not taken.entries or (newest is not None and newest.hash == taken.last_hash):
        return _with(found, f"The {taken.entries} of the backup of {moment(taken.taken_at)} are all among them.")
    problem = "was cut off" if found.checked < taken.entries else "is another one"
    sentence = (
        f"The backup of {moment(taken.taken_at)} has {taken.entries} entries and the ledger {found.checked}: "
        f"entry {taken.entries} {problem}. Keep a copy of the database, and restore the backup."
    )
    return found.model_copy(update={"ok": False, "first_broken_seq": taken.entries, "sentence": sentence})


def _with(found: "ChainCheck", remark: str) -> "ChainCheck":
    return found.model_copy(update={"sentence": f"{found.sentence} {remark}"})


def _champion_at(model: str, at: datetime, as_json: bool) -> None:
    record = hooks().ledger.champion_at(model, at)

    def page(console: "Console") -> None:
        console.print(_served(model, record, at))

    answer(as_json, record, page)


def _served(model: str, record: Deployment | None, at: datetime) -> str:
    if record is None:
        return f"No version of {model} served at {moment_to_the_second(at)}."
    bundle = record.champion
    return (
        f"Version {bundle.version} of {model} was champion at {moment_to_the_second(at)} "
        f"(epoch {record.epoch}, {record.change}; "
        f"data {bundle.data_version[:12]}, image {bundle.image_digest[:19]}, code {bundle.code_commit[:12]})."
    )


def _list(console: "Console", entries: list[LedgerEntry]) -> None:
    if not entries:
        console.print(NOTHING)
    for entry in entries:
        about = entry.facts.get("version") or (entry.facts.get("epoch") and f"epoch {entry.facts['epoch']}") or ""
        print_row(
            console,
            f"{entry.seq:>5}  {moment_to_the_second(entry.at)}  {entry.model:<16} {entry.kind:<12} "
            f"{f'version {about}' if isinstance(about, int) else about:<11} {entry.actor}: {entry.reason}",
        )


def _refuse_alone(option: str, is_given: bool, other: str, has_other: bool) -> None:
    if is_given and not has_other:
        raise BadArgument(option, f"goes with {other.partition(' ')[0]} only", f"Add {other}.")


def _card(console: "Console", card: Card, as_markdown: bool) -> None:
    if not as_markdown:
        print_card(console, card)
        return
    from understudy.hooks.alerting.pages import pages

    typer.echo(markdown(card, pages()))


def _why(console: "Console", cards: list[Card]) -> None:
    for told in cards:
        print_row(
            console,
            f"{told.seq:>5}  {moment_to_the_second(told.at)}  {told.title} ({told.actor}: {told.reason})",
        )
    console.print()
    print_card(console, telling(cards))
    console.print()
    console.print("Each of the others: understudy ledger --card ENTRY")


def parse_moment(text: str, argument: str) -> datetime:
    """Read a time, also as it is printed; one without a zone is meant in UTC.

    :raises BadArgument: when it is not a time.
    """
    try:
        at = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace("Z", "+00:00"))
    except ValueError as wrong:
        raise BadArgument(
            argument, f"{text!r} is not a time", "Write for example 2026-11-21T08:00 or 2026-11-21T08:00+01:00."
        ) from wrong
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
