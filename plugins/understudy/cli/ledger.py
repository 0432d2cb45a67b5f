"""``understudy ledger``: every decision, who made it and why."""

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import hooks
from understudy.cli.errors import BROKEN, BadArgument
from understudy.contract.judgement import GateResult
from understudy.contract.release import Deployment, LedgerEntry

if TYPE_CHECKING:
    from rich.console import Console

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
    verify: Annotated[bool, typer.Option("--verify", help="Check that no entry was changed or removed.")] = False,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest entries to show.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Tell who decided what, and by which numbers."""
    if sum(asked for asked in (why is not None, at is not None, verify)) > 1:
        raise BadArgument("--why, --at and --verify", "exclude each other", "Give one of them.")
    if (why is not None or at is not None) and model is None:
        raise BadArgument(
            "MODEL",
            "is missing",
            f"Write: understudy ledger MODEL {'--why VERSION' if why is not None else '--at TIME'}",
        )
    if verify:
        _verify(as_json)
    elif at is not None and model is not None:
        _champion_at(model, parse_moment(at, "--at"), as_json)
    else:
        book = hooks().ledger
        entries = (
            book.why(model, why)
            if model is not None and why is not None
            else book.entries(model, limit=last, newest_first=True)[::-1]
        )
        answer(as_json, entries, lambda console: _list(console, entries, with_numbers=why is not None))


def _verify(as_json: bool) -> None:
    found = hooks().ledger.verify()
    answer(as_json, found, lambda console: console.print(found.sentence, markup=False))
    if not found.ok:
        raise typer.Exit(BROKEN)


def _champion_at(model: str, moment: datetime, as_json: bool) -> None:
    record = hooks().ledger.champion_at(model, moment)

    def page(console: "Console") -> None:
        console.print(_served(model, record, moment), markup=False)

    answer(as_json, record, page)


def _served(model: str, record: Deployment | None, moment: datetime) -> str:
    if record is None:
        return f"No version of {model} served at {moment.isoformat()}."
    bundle = record.champion
    return (
        f"Version {bundle.version} of {model} was champion at {moment.isoformat()} "
        f"(epoch {record.epoch}, {record.change}; "
        f"data {bundle.data_version[:12]}, image {bundle.image_digest[:19]}, code {bundle.code_commit[:12]})."
    )


def _list(console: "Console", entries: list[LedgerEntry], *, with_numbers: bool) -> None:
    if not entries:
        console.print("The ledger holds nothing about that.")
    for entry in entries:
        about = entry.facts.get("version") or (entry.facts.get("epoch") and f"epoch {entry.facts['epoch']}") or ""
        console.print(
            f"{entry.seq:>5}  {entry.at.astimezone():%Y-%m-%d %H:%M:%S}  {entry.model:<16} {entry.kind:<12} "
            f"{f'version {about}' if isinstance(about, int) else about:<11} {entry.actor}: {entry.reason}",
            markup=False,
        )
        for line in answers_of(entry) if with_numbers else ():
            console.print(f"       {line}", markup=False)


def answers_of(entry: LedgerEntry) -> list[str]:
    """Say how each gate was answered, and by which number; nothing for an entry that answers no gates."""
    judgement = entry.facts.get("judgement")
    results = judgement.get("results") if isinstance(judgement, dict) else None
    answers = [GateResult.model_validate(result) for result in results] if isinstance(results, list) else []
    return [f"{answer.verdict:<12} {answer.gate:<28} {answer.sentence}" for answer in answers]


def parse_moment(text: str, argument: str) -> datetime:
    """Read a time; one without a zone is meant in UTC.

    :raises BadArgument: when it is not a time.
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as wrong:
        raise BadArgument(
            argument, f"{text!r} is not a time", "Write for example 2026-11-21T08:00 or 2026-11-21T08:00+01:00."
        ) from wrong
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
