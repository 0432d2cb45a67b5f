"""The status of models in the terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from understudy.cli.model_status import LastLook, ModelStatus, Replica
from understudy.cli.row import print_row
from understudy.contract.declared import DRILL_MODEL
from understudy.contract.moment import age, moment
from understudy.contract.serving import LabelAccounts
from understudy.overview.glance import Health

if TYPE_CHECKING:
    from rich.console import Console


def print_table(console: "Console", found: list[ModelStatus]) -> None:
    """Print one line for each model."""
    if not found:
        console.print("No model is declared yet. Start with: understudy init --data FILE --target COLUMN --time COLUMN")
        return
    from rich.table import Column, Table

    # On a narrow terminal, names and words are folded rather than cut off.
    names = ("model", "state", "champion", "last run", "last look")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, pad_edge=False)
    # What needs a person comes first, as on the page.
    urgent_first = sorted(found, key=lambda status: list(Health).index(status.health))
    for status in urgent_first:
        table.add_row(
            status.model + _aside(status),
            status.health.in_words,
            _champion_in_short(status),
            _run_in_short(status),
            _look_in_short(status),
        )
    console.print(table)
    for status in urgent_first:
        for sentence in _explained(status):
            print_row(console, f"{status.model}: {sentence}")
    console.print("Airflow was not asked: paused DAGs, failed runs and waiting approvals show on its page Models.")


def print_page(console: "Console", status: ModelStatus) -> None:
    """Print all there is to know about one model."""
    _print_champion(console, status)
    print_row(console, f"  state     {status.health.in_words.lower()}")
    for sentence in _explained(status):
        print_row(console, f"            {sentence}")
    if not status.is_declared and status.model != DRILL_MODEL:
        print_row(console, "  declared  no longer: nothing looks at what serves, and nothing retrains it")
    last = status.last_run
    print_row(console, f"  last run  {f'{last.outcome} {moment(last.at)}: {last.sentence}' if last else 'never'}")
    look = status.last_look
    if look is not None:
        print_row(console, f"  last look {moment(look.at)}{_of_whom(status, look)}: {look.sentence}")
        for sentence in look.trouble:
            print_row(console, f"  retrain   {sentence}", style="red")
    for replica in status.replicas:
        print_row(console, f"  served at {_line(replica)}")
        for sentence in replica.unconfined:
            print_row(console, f"            {sentence}")
    if status.held is not None:
        hold = status.held
        print_row(console, f"  held      by {hold.actor} since {moment(hold.at)}: {hold.reason}")
    for version, reason in status.denied.items():
        print_row(console, f"  denied    version {version}: {reason}")
    for served in reversed(status.history[:-1]):
        print_row(
            console, f"  before    version {served.version} from {moment(served.since)} by {served.by}: {served.why}"
        )


def _print_champion(console: "Console", status: ModelStatus) -> None:
    champion = status.champion
    if champion is None:
        console.print(f"{status.model} has no champion yet. Make one with: understudy retrain {status.model}")
        return
    lock = f", locked: {status.locked[champion.version]}" if champion.version in status.locked else ""
    print_row(console, f"{status.model}: version {champion.version} is champion since {moment(champion.since)}{lock}")
    print_row(console, f"  by        {champion.by}: {champion.why}")
    console.print(f"  confirmed {'yes' if champion.is_confirmed else 'not yet'}")
    if status.mirror is not None:
        console.print(f"  mirror    version {status.mirror} answers the same requests unseen")
    if status.canary is not None:
        console.print(f"  canary    version {status.canary} answers {status.canary_share:.3g} of the callers")
    console.print(f"  data      {champion.data_version[:12]}")
    console.print(
        f"  rollback  {f'to version {status.previous}' if status.previous else 'no other version to go back to'}"
    )


def _explained(status: ModelStatus) -> Iterator[str]:
    """Say why a person should look, or why nobody can say whether one should."""
    for trouble in status.troubles:
        yield f"{trouble.said}: {trouble.told}" if trouble.told else trouble.said
    if status.unseen and status.health is Health.UNKNOWN:
        yield status.unseen


def _champion_in_short(status: ModelStatus) -> str:
    champion = status.champion
    if champion is None:
        return "none yet"
    lock = " (locked)" if champion.version in status.locked else ""
    return f"v{champion.version}, {age(champion.since)}{lock}"


def _run_in_short(status: ModelStatus) -> str:
    last = status.last_run
    return f"{last.outcome.spoken}, {age(last.at)}" if last else "never"


def _look_in_short(status: ModelStatus) -> str:
    look = status.last_look
    if look is None:
        return ""
    said = "retraining due" if look.is_due else look.verdict.value
    return f"{said}, {age(look.at)}{_of_whom(status, look)}" + (" (!)" if look.trouble else "")


def _of_whom(status: ModelStatus, look: LastLook) -> str:
    """Say where a look was at a champion that has been replaced since: it tells nothing of the one that serves."""
    is_past = status.champion is not None and look.at < status.champion.since
    return " (at the champion before)" if is_past else ""


def _line(replica: Replica) -> str:
    if replica.version is None or replica.lag is None:
        return f"{replica.gateway}: {replica.problem or 'serves nothing yet'}"
    lag = f", {replica.lag} behind" if replica.lag else ""
    problem = f"; {replica.problem}" if replica.problem else ""
    return (
        f"{replica.gateway}: version {replica.version}, epoch {replica.epoch}{lag}{_in_short(replica.labels)}{problem}"
    )


def _in_short(labels: LabelAccounts | None) -> str:
    if labels is None or not labels.given:
        return ""
    counts = labels.model_dump(exclude={"given"})
    told = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
    return f", labels: {told}"


def _aside(status: ModelStatus) -> str:
    if status.model == DRILL_MODEL:
        return " (the rollback drill's sandbox)"
    held = " (held)" if status.held is not None else ""
    return held if status.is_declared else f" (not declared){held}"
