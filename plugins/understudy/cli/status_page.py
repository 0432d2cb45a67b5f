"""The status of models in the terminal."""

from datetime import datetime
from typing import TYPE_CHECKING

from understudy.cli.model_status import LastLook, ModelStatus, Replica
from understudy.contract.drill import DRILL_MODEL
from understudy.contract.serving import LabelAccounts

if TYPE_CHECKING:
    from rich.console import Console


def print_table(console: "Console", found: list[ModelStatus]) -> None:
    """Print one line for each model."""
    if not found:
        console.print("No model is declared yet. Start with: understudy init --data FILE --target COLUMN --time COLUMN")
        return
    from rich.table import Table

    table = Table("model", "champion", "since", "by", "rollback to", "last run", "last look", box=None, pad_edge=False)
    for status in found:
        champion, last = status.champion, status.last_run
        table.add_row(
            status.model + _aside(status),
            (f"version {champion.version}" + (" (locked)" if champion.version in status.locked else ""))
            if champion
            else "none yet",
            _moment(champion.since) if champion else "",
            champion.by if champion else "",
            f"version {status.previous}" if status.previous else "",
            f"{last.outcome} {_moment(last.at)}" if last else "never",
            _look_in_short(status.last_look),
        )
    console.print(table)


def print_page(console: "Console", status: ModelStatus) -> None:
    """Print all there is to know about one model."""
    champion, last = status.champion, status.last_run
    if champion is None:
        console.print(
            f"{status.model} has no champion yet. Make one with: understudy retrain {status.model}", markup=False
        )
    else:
        lock = f", locked: {status.locked[champion.version]}" if champion.version in status.locked else ""
        console.print(
            f"{status.model}: version {champion.version} is champion since {_moment(champion.since)}{lock}",
            markup=False,
        )
        console.print(f"  by        {champion.by}: {champion.why}", markup=False)
        console.print(f"  confirmed {'yes' if champion.is_confirmed else 'not yet'}", markup=False)
        if status.mirror is not None:
            console.print(f"  mirror    version {status.mirror} answers the same requests unseen", markup=False)
        if status.canary is not None:
            console.print(
                f"  canary    version {status.canary} answers {status.canary_share:.3g} of the callers", markup=False
            )
        console.print(f"  data      {champion.data_version[:12]}", markup=False)
        console.print(
            f"  rollback  {f'to version {status.previous}' if status.previous else 'no other version to go back to'}",
            markup=False,
        )
    console.print(
        f"  last run  {f'{last.outcome} {_moment(last.at)}: {last.sentence}' if last else 'never'}", markup=False
    )
    if status.last_look is not None:
        console.print(f"  last look {_moment(status.last_look.at)}: {status.last_look.sentence}", markup=False)
        for sentence in status.last_look.trouble:
            console.print(f"  retrain   {sentence}", style="red", markup=False)
    for replica in status.replicas:
        console.print(f"  served at {_line(replica)}", markup=False)
    if status.held is not None:
        hold = status.held
        console.print(f"  held      by {hold.actor} since {_moment(hold.at)}: {hold.reason}", markup=False)
    for version, reason in status.denied.items():
        console.print(f"  denied    version {version}: {reason}", markup=False)
    for served in reversed(status.history[:-1]):
        console.print(
            f"  before    version {served.version} from {_moment(served.since)} by {served.by}: {served.why}",
            markup=False,
        )


def _look_in_short(look: LastLook | None) -> str:
    if look is None:
        return ""
    said = "retraining due" if look.is_due else look.verdict.value
    return f"{said} {_moment(look.at)}" + (" (!)" if look.trouble else "")


def _line(replica: Replica) -> str:
    if replica.version is None or replica.lag is None:
        return f"{replica.gateway}: {replica.problem or 'serves nothing yet'}"
    lag = f", {replica.lag} behind" if replica.lag else ""
    problem = f"; {replica.problem}" if replica.problem else ""
    told = (
        f"{replica.gateway}: version {replica.version}, epoch {replica.epoch}{lag}{_in_short(replica.labels)}{problem}"
    )
    return "\n".join([told, *(f"            {sentence}" for sentence in replica.unconfined)])


def _in_short(labels: LabelAccounts | None) -> str:
    if labels is None or not labels.given:
        return ""
    counts = labels.model_dump(exclude={"given"})
    told = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
    return f", labels: {told}"


def _moment(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def _aside(status: ModelStatus) -> str:
    if status.model == DRILL_MODEL:
        return " (the rollback drill's sandbox)"
    held = " (held)" if status.held is not None else ""
    return held if status.is_declared else f" (not declared){held}"
