"""What an Airflow run is about: its moment, its folder."""

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from understudy.contract.airflow_run import AirflowRun
from understudy.contract.errors import UnderstudyError
from understudy.contract.suggest import nearest
from understudy.operators.cause import asked_moment
from understudy.operators.stage_errors import BadMoment
from understudy.settings import settings
from understudy.workspace import RunFolder, key_in

if TYPE_CHECKING:
    from airflow.sdk import Context

AS_OF = "as_of"


class UnknownField(UnderstudyError, AirflowFailException):
    """A run was asked for something that its form does not have."""

    def __init__(self, dag_id: str, field: str, known: Iterable[str]) -> None:
        super().__init__(
            f"{dag_id} has no field {field!r}{nearest(field, known)}. Nothing was done; trigger it again without it."
        )


def require_known_fields(context: "Context") -> None:
    """Refuse what the form does not have, which Airflow lets pass: a misspelt ``dry_run`` would be the real thing.

    :raises UnknownField: where the run was given any.
    """
    for field in getattr(context["dag_run"], "conf", None) or {}:
        if field not in context["dag"].params:
            raise UnknownField(context["dag"].dag_id, field, context["dag"].params)


def as_of(context: "Context") -> datetime:
    """Return the moment that a run looks at the world from; the same in every task and at every try, never now.

    The form's ``as_of`` wins, then the time that the look pretended whose event started the run, then the end of the
    data interval, then the logical date; runs without any (triggered by an asset or through the API) look from the
    moment they were due.

    :raises BadMoment: when the form's value is no time.
    """
    asked = moment_of(context, AS_OF)
    if asked is not None:
        return asked
    moment = (
        asked_moment(context)
        or context.get("data_interval_end")
        or context.get("logical_date")
        or context["dag_run"].run_after
    )
    return _in_utc(moment)


def moment_of(context: "Context", name: str) -> datetime | None:
    """Read a moment from the run's form; None where nothing is written there.

    :raises BadMoment: when the form's value is no time.
    """
    asked: Any = dict(context.get("params") or {}).get(name)
    if not asked:
        return None
    try:
        return _in_utc(datetime.fromisoformat(str(asked).replace("Z", "+00:00")))
    except ValueError as unreadable:
        raise BadMoment(str(asked)) from unreadable


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def airflow_run(context: "Context") -> AirflowRun:
    """Name the run as Airflow does."""
    return AirflowRun(dag_id=context["dag"].dag_id, run_id=str(context["run_id"]))


def run_folder(context: "Context", model: str) -> RunFolder:
    """Give the folder of this run of a model; a look and a retraining of the same minute have one each."""
    dag_id = str(getattr(context.get("dag"), "dag_id", ""))
    return RunFolder(workspace=settings().workspace_dir, model=model, run=key_in(dag_id, str(context["run_id"])))
