"""What Airflow's database knows of our DAGs, read in a few queries for the whole fleet.

The pages run inside the API server, where this is the same database that its own pages read. It is no public
interface: everything that we need of it is in this file, and nothing is ever written.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from understudy.contract.declared import Fact
from understudy.settings import settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

BROKEN_SPEC = "broken-spec"
"""The tag of a DAG that stands in for a declaration that cannot be used."""
MOST_FAILED = 10_000
"""The newest failed runs are read, so that years of failures do not hold up a page."""


class Queued(Fact):
    """Name a run that has not begun yet."""

    run_id: str
    since: datetime
    by: str = ""
    """Who asked for it; empty where nobody did."""


class DagState(Fact):
    """Say how a DAG is doing."""

    dag_id: str
    owner: str = ""
    is_paused: bool = False
    is_broken: bool = False
    """Whether its file cannot be imported, or its declaration cannot be used."""
    problem: str = ""
    """What is wrong with its declaration, with file, line and field."""
    queued: tuple[Queued, ...] = ()
    """Its runs that have not begun yet, oldest first."""
    under_way: str | None = None
    """The id of the run that began first of those that run."""
    failed: frozenset[str] = frozenset()
    """The ids of the runs that have failed since one went well, whatever began after them."""
    overdue_since: datetime | None = None
    """When a run was due that should have begun long ago; None where none is, or a pause or another run explains it."""


class Question(Fact):
    """Name what a DAG run asks a person."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    options: tuple[str, ...]
    params: dict[str, JsonValue]
    assigned: tuple[str, ...]
    """The ids of the only users who may answer; anyone who may act on the DAG where there are none."""
    since: datetime


class Airflow(Fact):
    """Hold what Airflow knows, as of one moment."""

    dags: Mapping[str, DagState]
    questions: tuple[Question, ...] = ()

    def has(self, dag_id: str) -> bool:
        """Tell whether there is such a DAG."""
        return dag_id in self.dags


def read_airflow(dag_ids: Iterable[str] | None = None) -> Airflow:
    """Read how our DAGs are doing: all, or those that are named."""
    from airflow.utils.session import create_session

    wanted = None if dag_ids is None else sorted(dag_ids)
    with create_session(scoped=False) as session:
        return Airflow(dags=_dags(session, wanted), questions=_questions(session, wanted))


def _dags(session: "Session", wanted: list[str] | None) -> dict[str, DagState]:
    from airflow.models.dag import DagModel, DagTag
    from sqlalchemy import select

    named = [] if wanted is None else [DagModel.dag_id.in_(wanted)]
    columns = (
        DagModel.dag_id,
        DagModel.owners,
        DagModel.is_paused,
        DagModel.has_import_errors,
        DagModel.description,
        DagModel.next_dagrun_create_after,
        DagModel.exceeds_max_non_backfill,
    )
    rows = session.execute(select(*columns).where(DagModel.is_stale.is_(False), *named)).all()
    broken = set(session.scalars(select(DagTag.dag_id).where(DagTag.name == BROKEN_SPEC)))
    queued, under_way = _unfinished(session, wanted)
    failed = _failed(session, wanted)
    late = datetime.now(timezone.utc) - settings().retrain_within
    return {
        row.dag_id: _state(row, is_broken=row.dag_id in broken).model_copy(
            update={
                "queued": tuple(queued.get(row.dag_id, ())),
                "under_way": under_way.get(row.dag_id),
                "failed": frozenset(failed.get(row.dag_id, ())),
                "overdue_since": _overdue_since(row, queued.get(row.dag_id, []), under_way.get(row.dag_id), late),
            }
        )
        for row in rows
    }


def _overdue_since(row: Any, queued: list[Queued], under_way: str | None, late: datetime) -> datetime | None:
    """Say when a run was due that Airflow has not made, or not begun, and that nothing else explains."""
    if row.is_paused or under_way is not None:
        return None
    due = [run.since for run in queued]
    # What is queued counts as active, and lets no other run be made.
    if row.next_dagrun_create_after is not None and not row.exceeds_max_non_backfill:
        due.append(row.next_dagrun_create_after)
    return min((at for at in due if at < late), default=None)


def _failed(session: "Session", wanted: list[str] | None) -> dict[str, list[str]]:
    """Map DAGs to their runs that ended badly after the last one that ended well."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from sqlalchemy import func, or_, select

    well = select(DagRun.dag_id, func.max(DagRun.end_date).label("at")).where(DagRun.state == DagRunState.SUCCESS)
    query = select(DagRun.dag_id, DagRun.run_id).where(DagRun.state == DagRunState.FAILED)
    if wanted is not None:
        well, query = well.where(DagRun.dag_id.in_(wanted)), query.where(DagRun.dag_id.in_(wanted))
    ended = well.group_by(DagRun.dag_id).subquery()
    # By their ends: a run that was cleared is older than what went well meanwhile, and may fail after it.
    query = query.outerjoin(ended, ended.c.dag_id == DagRun.dag_id).where(
        or_(ended.c.at.is_(None), DagRun.end_date >= ended.c.at)
    )
    found: dict[str, list[str]] = {}
    for run in session.execute(query.order_by(DagRun.id.desc()).limit(MOST_FAILED)):
        found.setdefault(run.dag_id, []).append(run.run_id)
    return found


def _unfinished(session: "Session", wanted: list[str] | None) -> tuple[dict[str, list[Queued]], dict[str, str]]:
    """Map DAGs to their queued runs, and to the run that began first of those that run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after, DagRun.queued_at)
    query = (
        select(*columns, DagRun.triggering_user_name)
        .where(DagRun.state.in_((DagRunState.QUEUED, DagRunState.RUNNING)))
        .order_by(DagRun.run_after, DagRun.id)
    )
    if wanted is not None:
        query = query.where(DagRun.dag_id.in_(wanted))
    queued: dict[str, list[Queued]] = {}
    under_way: dict[str, str] = {}
    for run in session.execute(query):
        if run.state == DagRunState.RUNNING:
            under_way.setdefault(run.dag_id, run.run_id)
            continue
        since, by = run.queued_at or run.run_after, run.triggering_user_name or ""
        queued.setdefault(run.dag_id, []).append(Queued(run_id=run.run_id, since=since, by=by))
    return queued, under_way


def _state(row: Any, *, is_broken: bool) -> DagState:
    return DagState(
        dag_id=row.dag_id,
        # What stands in for a broken declaration is nobody's: whose it is, only the declaration says.
        owner="" if is_broken else row.owners or "",
        is_paused=bool(row.is_paused),
        is_broken=is_broken or bool(row.has_import_errors),
        # The DAG that stands in for it is described by what is wrong.
        problem=(row.description or "") if is_broken else "",
    )


def _questions(session: "Session", wanted: list[str] | None) -> tuple[Question, ...]:
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    task = TaskInstance
    waiting = (TaskInstanceState.AWAITING_INPUT, TaskInstanceState.DEFERRED, TaskInstanceState.RUNNING)
    query = (
        select(
            task.dag_id,
            task.run_id,
            task.task_id,
            task.map_index,
            HITLDetail.subject,
            HITLDetail.options,
            HITLDetail.params,
            HITLDetail.assignees,
            HITLDetail.created_at,
        )
        .join(HITLDetail, HITLDetail.ti_id == task.id)
        .where(HITLDetail.responded_at.is_(None), task.state.in_(waiting))
        .order_by(HITLDetail.created_at)
    )
    if wanted is not None:
        query = query.where(task.dag_id.in_(wanted))
    return tuple(
        Question(
            dag_id=row.dag_id,
            run_id=row.run_id,
            task_id=row.task_id,
            map_index=row.map_index,
            subject=row.subject,
            options=tuple(map(str, row.options)),
            params=dict(row.params or {}),
            assigned=tuple(str(person["id"]) for person in row.assignees or ()),
            since=row.created_at,
        )
        for row in session.execute(query)
    )
