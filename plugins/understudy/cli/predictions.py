"""``understudy predictions``: what this machine's gateway was asked and answered, and the same answer once more."""

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from understudy.cli.answer import AsJson, answer
from understudy.cli.deployment import deployment, hooks, terms_if_declared
from understudy.cli.errors import BROKEN, BadArgument
from understudy.cli.ledger import parse_moment
from understudy.contract.declared import parse_duration
from understudy.contract.errors import UnderstudyError
from understudy.contract.moment import moment, moment_to_the_second

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from understudy.contract.serving import LabelAccounts
    from understudy.gateway.log.compact import Compaction
    from understudy.gateway.log.find import Logged
    from understudy.gateway.log.read import Accounts
    from understudy.gateway.log.reproduce import Reproduction

app = typer.Typer(help="Look at the predictions that this machine's gateway logged.", no_args_is_help=True)
Model = Annotated[str, typer.Argument(help="The model.")]
SHOWN = ("at", "request_id", "row", "role", "version", "prediction", "label", "status", "score_us", "problem")


class NothingLogged(UnderstudyError):
    """This machine's gateway has no log of a model."""

    def __init__(self, model: str, folder: Path) -> None:
        super().__init__(
            f"{folder} holds no predictions of {model}. Each gateway keeps its own log: ask on its machine, with its "
            "UNDERSTUDY_HOME."
        )


@app.command("reproduce")
def reproduce(
    request_id: Annotated[str, typer.Argument(help="The answer's X-Understudy-Request-Id.")],
    mirror: Annotated[bool, typer.Option("--mirror", help="Take the version that answered unseen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the version that answered a request once more; the exit code is 1 where its answer differs."""
    from understudy.contract.words import Role
    from understudy.gateway.log.find import NoSuchPrediction, find

    folder = _logs()
    wanted = [logged for logged in find(folder, request_id) if (logged.role is Role.SHADOW) == mirror]
    if not wanted:
        raise NoSuchPrediction(request_id, folder)
    found = asyncio.run(_again(wanted[-1]))
    answer(as_json, found, lambda console: _reproduction_page(console, found))
    if not found.is_equal:
        raise typer.Exit(BROKEN)


@app.command("show")
def show(
    model: Model,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Since when: a time, or how long ago, such as 90m or 7d.")
    ] = "1d",
    last: Annotated[int, typer.Option(min=1, help="How many of the newest rows to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest predictions, with the labels that came for them."""
    from understudy.gateway.log.read import read_log

    start = _start(since)
    log = read_log(_log(model), start, features=as_json)
    rows = log.rows.tail(last)
    facts = {"rows": rows.rows(named=True), "lost": log.accounts.lost, "damaged": log.accounts.damaged}
    answer(as_json, facts, lambda console: _rows_page(console, model, start, rows, log.accounts))


@app.command("labels")
def labels(
    model: Annotated[str | None, typer.Argument(help="One model; all of them when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count the labels by what became of them."""
    from understudy.gateway.log.label_accounts import count_labels

    folders = [_log(model)] if model else sorted(_logs().glob("*/"))
    found = {folder.name: count_labels(folder).accounts for folder in folders}
    answer(as_json, found, lambda console: _labels_page(console, found))


@app.command("compact")
def compact(
    model: Annotated[str | None, typer.Argument(help="One model; all of them when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn what is finished of the log into typed Parquet, which is smaller and faster to read."""
    from understudy.gateway.log.compact import compact as compact_log

    folders = [_log(model)] if model else sorted(_logs().glob("*/"))
    done = {folder.name: compact_log(folder) for folder in folders}
    answer(as_json, done, lambda console: _compaction_page(console, done))


def _logs() -> Path:
    return deployment().gateway_dir / "log"


def _log(model: str) -> Path:
    known = {folder.name: folder for folder in _logs().glob("*/")}
    if model not in known:
        raise NothingLogged(model, _logs())
    return known[model]


def _start(text: str) -> datetime:
    try:
        return datetime.now(timezone.utc) - timedelta(seconds=parse_duration(text).total_seconds())
    except ValueError:
        return parse_moment(text, "--since")
    except OverflowError as too_long:
        raise BadArgument("--since", f"{text!r} is before the first year", "Give less.") from too_long


async def _again(logged: "Logged") -> "Reproduction":
    from understudy.contract.declaration.serving import ServingSpec
    from understudy.contract.declaration.train import memory_bytes
    from understudy.contract.serving import ServingTerms
    from understudy.contract.words import MlTask
    from understudy.gateway.log.reproduce import reproduce, reproducible
    from understudy.gateway.places import places

    settings, registry = deployment(), hooks().registry
    bundle = registry.bundle_of(logged.model, logged.version)
    reproducible(logged, bundle)
    terms = terms_if_declared(logged.model) or ServingTerms(task=MlTask.REGRESSION, serving=ServingSpec())
    return await reproduce(
        logged,
        bundle,
        registry.keep(bundle),
        # Nobody's gateway: one that starts meanwhile removes what an earlier life of its own left.
        places(settings.gateway_isolation, settings.verify_keys, gateway=""),
        memory=memory_bytes(terms.serving.memory),
        allow_pickle=terms.allow_pickle,
    )


def _reproduction_page(console: "Console", found: "Reproduction") -> None:
    told = "gives the same answer" if found.is_equal else "gives ANOTHER ANSWER"
    console.print(
        f"Version {found.version} of {found.model} {told} to request {found.request_id} (answered as {found.role})."
    )
    for name, output in (("logged", found.logged), ("now", found.now)):
        console.print(f"{name:<7} {_short(output.predictions)}")
        if output.probabilities is not None:
            console.print(f"        {_short(output.probabilities)}")


def _short(values: list[Any]) -> str:
    rest = f" and {len(values) - 5:,} more" if len(values) > 5 else ""
    return f"{', '.join(map(str, values[:5]))}{rest}"


def _rows_page(console: "Console", model: str, start: datetime, rows: "pl.DataFrame", accounts: "Accounts") -> None:
    if not rows.height:
        console.print(f"No predictions of {model} since {moment(start)}.")
    else:
        from rich.table import Column, Table

        # What does not fit is folded: a version or an answer of which half is missing is another one.
        table = Table(*(Column(name, overflow="fold") for name in SHOWN), box=None, pad_edge=False)
        for row in rows.rows(named=True):
            known = {**row, "at": moment_to_the_second(row["at"]), "problem": row["loss"] or row["error"]}
            table.add_row(*("" if known[name] is None else str(known[name]) for name in SHOWN))
        console.print(table)
    if accounts.lost or accounts.damaged:
        console.print(
            f"Not in the log: {accounts.lost:,} predictions that could not be written, and {accounts.damaged:,} lines "
            "that cannot be read."
        )


def _labels_page(console: "Console", found: "dict[str, LabelAccounts]") -> None:
    if not found:
        console.print("This machine's gateway has logged nothing yet.")
        return
    from rich.table import Table

    counts = list(next(iter(found.values())).model_dump())
    table = Table("model", *counts, box=None, pad_edge=False)
    for model, accounts in found.items():
        table.add_row(model, *(f"{count:,}" for count in accounts.model_dump().values()))
    console.print(table)


def _compaction_page(console: "Console", done: "dict[str, Compaction]") -> None:
    if not done:
        console.print("This machine's gateway has logged nothing yet.")
    for model, found in done.items():
        damaged = f"; {found.damaged:,} lines could not be read" if found.damaged else ""
        console.print(
            f"{model}: {found.segments:,} segments with {found.rows:,} rows are now Parquet, "
            f"{found.bytes_before / 1e6:.1f} MB became {found.bytes_after / 1e6:.1f} MB{damaged}."
            if found.segments
            else f"{model}: nothing to compact."
        )
