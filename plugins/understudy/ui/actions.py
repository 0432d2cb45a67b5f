"""What a person can do to a model from its page: DAG runs, which the browser asks Airflow for. Pure."""

from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from understudy.contract.cause import RETRAIN_PREFIX
from understudy.contract.declared import Fact
from understudy.overview.airflow_state import Airflow
from understudy.overview.glance import Glance


class Choice(Fact):
    """Offer one value of a parameter."""

    value: str
    label: str


class Offer(Fact):
    """Describe one action: the DAG that does it, and what its form is filled with."""

    dag_id: str
    task_id: str
    """The task whose result says what was done, or would be."""
    name: str
    promise: str
    """What it does, in words, before anything is sent."""
    conf: dict[str, JsonValue]
    chosen: str = ""
    """The parameter that the person chooses a value of; none when empty."""
    choices: tuple[Choice, ...] = ()
    is_grave: bool = False
    says_at_once: bool = True
    """Whether a dry run answers within seconds; a retraining takes as long as it takes."""
    may: bool
    """Whether the person may start the DAG."""
    is_paused: bool = False
    """Whether its DAG is: Airflow would take the run and keep it in its queue."""
    command: str
    """The command that does the same without Airflow; a reason is still to be added."""
    chosen_option: str = ""
    """The option of the command that takes what is chosen."""


def offers(
    glance: Glance,
    back_to: Sequence[int],
    locked: Mapping[int, str],
    airflow: Airflow,
    may_run: Callable[[str], bool],
    *,
    is_held: bool = False,
) -> tuple[Offer, ...]:
    """List what can be done to a model now; only what has a DAG.

    :param back_to: the versions that could serve again, the one before first. A page names the version, because
        "previous" would mean another one to whoever comes second.
    """
    model, champion = glance.model, glance.champion
    found: list[Offer] = []

    def add(dag_id: str, name: str, promise: str, **more: object) -> None:
        if airflow.has(dag_id):
            own = {
                "dag_id": dag_id,
                "task_id": dag_id,
                "name": name,
                "promise": promise,
                "may": may_run(dag_id),
                "is_paused": airflow.dags[dag_id].is_paused,
                "command": f"understudy {dag_id.replace('_', '-')} {model}",
            }
            found.append(Offer.model_validate({**own, "conf": {"model": model}, **more}))

    if champion is not None and back_to:
        promise = (
            f"Version {champion.version} is taken back as a whole and denied for ever; the version you choose serves."
        )
        choices = tuple(Choice(value=str(version), label=f"version {version}") for version in back_to)
        add("rollback", "Roll back", promise, chosen="target", chosen_option="--to", choices=choices, is_grave=True)
    if champion is not None and champion.version in locked:
        said = f"Version {champion.version} can be replaced again, by a promotion or a rollback."
        add("unlock", "Unlock", said, **_about(model, champion.version, "unlock"))
    elif champion is not None:
        said = f"Version {champion.version} is neither replaced nor rolled back until somebody unlocks it."
        add("lock", "Lock", said, **_about(model, champion.version, "lock"))
    if is_held:
        add("release", "Release", "Challengers that pass every gate are promoted again.")
    else:
        add("hold", "Hold", "No challenger is promoted until somebody releases the model. What serves goes on.")
    if glance.beside:
        add("stop_shadow", "Stop what is tried", f"Ends this: {glance.beside}. The champion stays.", is_grave=True)
    add(
        f"{RETRAIN_PREFIX}{model}",
        "Retrain now",
        "Reads the newest data, trains a challenger, and promotes it only if it passes every gate. A dry run does all "
        "of it but promotes nothing.",
        task_id="outcome",
        conf={},
        says_at_once=False,
        command=f"understudy retrain {model} --local",
    )
    return tuple(found)


def _about(model: str, version: int, command: str) -> dict[str, object]:
    """Name the version, because the champion would mean another one after the next promotion."""
    return {
        "conf": {"model": model, "version": str(version)},
        "command": f"understudy {command} {model} {version}",
    }
