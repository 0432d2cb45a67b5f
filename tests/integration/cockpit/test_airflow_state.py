"""What the pages read of Airflow's own database."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.utils.state import DagRunState

from tests.integration.cockpit.api_server import MODEL, caller
from understudy.overview.airflow_state import read_airflow

DAG = f"retrain__{MODEL}"
AT = datetime(2026, 3, 1, 3, 0, tzinfo=timezone.utc)


@pytest.fixture
def runs(server: Any) -> Iterator[tuple[str, ...]]:
    """Let Airflow know a DAG with two runs that run and two that are queued."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import delete

    states = [DagRunState.SUCCESS, DagRunState.RUNNING, DagRunState.RUNNING, DagRunState.QUEUED, DagRunState.QUEUED]
    with create_session() as session:
        session.add(DagBundleModel(name="cockpit"))
        session.flush()
        session.add(DagModel(dag_id=DAG, bundle_name="cockpit", is_stale=False, is_paused=False))
        for number, state in enumerate(states):
            session.add(
                DagRun(
                    dag_id=DAG, run_id=f"run-{number}", run_type=DagRunType.MANUAL, state=state, conf={},
                    run_after=AT + timedelta(hours=number), triggering_user_name="olga",
                    triggered_by=DagRunTriggeredByType.REST_API,
                )
            )  # fmt: skip
    yield tuple(f"run-{number}" for number in range(len(states)))
    with create_session() as session:
        for table in (DagRun, DagModel):
            session.execute(delete(table).where(table.dag_id == DAG))
        session.execute(delete(DagBundleModel).where(DagBundleModel.name == "cockpit"))


@pytest.mark.parametrize("wanted", [None, [DAG]])
def test_what_is_queued_is_read_with_what_is_under_way(runs: tuple[str, ...], wanted: list[str] | None) -> None:
    state = read_airflow(wanted).dags[DAG]
    assert state.under_way == runs[1]
    assert [(run.run_id, run.by) for run in state.queued] == [(runs[3], "olga"), (runs[4], "olga")]


def test_what_failed_since_something_went_well_is_read_by_when_it_ended(server: Any, runs: tuple[str, ...]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    failed, well = DagRunState.FAILED, DagRunState.SUCCESS
    # The first one was cleared, and failed after the second one had gone well.
    ends = {runs[0]: (failed, 5), runs[1]: (well, 2), runs[2]: (failed, 1), runs[3]: (failed, 3)}
    with create_session() as session:
        for run, (state, hour) in ends.items():
            named = update(DagRun).where(DagRun.dag_id == DAG, DagRun.run_id == run)
            session.execute(named.values(state=state, end_date=AT + timedelta(hours=hour)))
    assert read_airflow([DAG]).dags[DAG].failed == {runs[0], runs[3]}
    assert read_airflow().dags[DAG].failed == {runs[0], runs[3]}


@pytest.mark.parametrize(
    ("minutes", "explained", "is_overdue"),
    [
        (-120, {}, True),
        (-30, {}, False),
        (120, {}, False),
        (-120, {"is_paused": True}, False),
        (-120, {"exceeds_max_non_backfill": True}, False),
        (None, {}, False),
    ],
)
def test_a_run_that_the_scheduler_did_not_make_is_overdue_where_nothing_else_explains_it(
    runs: tuple[str, ...], minutes: int | None, explained: dict[str, bool], is_overdue: bool
) -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    at = datetime.now(timezone.utc) + timedelta(minutes=minutes) if minutes is not None else None
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == DAG))
        dag = session.get(DagModel, DAG)
        assert dag is not None
        dag.next_dagrun_create_after = at
        for name, value in explained.items():
            setattr(dag, name, value)
    assert read_airflow([DAG]).dags[DAG].overdue_since == (at if is_overdue else None)


@pytest.mark.parametrize(("under_way", "is_overdue"), [(DagRunState.RUNNING, False), (DagRunState.SUCCESS, True)])
def test_a_run_that_waits_in_the_queue_for_hours_is_overdue_unless_another_one_runs(
    server: Any, runs: tuple[str, ...], under_way: DagRunState, is_overdue: bool
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        named = update(DagRun).where(DagRun.dag_id == DAG)
        session.execute(named.where(DagRun.state == DagRunState.RUNNING).values(state=under_way))
        session.execute(named.where(DagRun.state == DagRunState.QUEUED).values(queued_at=AT))
    assert read_airflow([DAG]).dags[DAG].overdue_since == (AT if is_overdue else None)


def test_a_broken_declaration_is_nobodys_and_says_file_line_and_field(server: Any, runs: tuple[str, ...]) -> None:
    from airflow.models.dag import DagModel, DagTag
    from airflow.utils.session import create_session

    problem = "/models/price/model.yaml:7: gates[0].flor: unknown field (did you mean floor?)"
    with create_session() as session:
        dag = session.get(DagModel, DAG)
        assert dag is not None
        dag.owners, dag.description, dag.tags = "airflow", problem, [DagTag(name="broken-spec", dag_id=DAG)]
    state = read_airflow([DAG]).dags[DAG]
    assert (state.is_broken, state.owner, state.problem) == (True, "", problem)
    text = caller(server, "viewer").get(f"/understudy/models/{MODEL}").text
    assert f"<strong>The declaration of its retraining cannot be used.</strong> {problem}." in text
    assert '<p class="quiet">no team' in text


def test_what_describes_a_sound_declaration_is_no_problem(server: Any, runs: tuple[str, ...]) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        dag = session.get(DagModel, DAG)
        assert dag is not None
        dag.owners, dag.description = "market-ml", "Retrain price."
    state = read_airflow([DAG]).dags[DAG]
    assert (state.is_broken, state.owner, state.problem) == (False, "market-ml", "")


@pytest.mark.usefixtures("runs")
def test_both_pages_say_that_a_retraining_is_queued_and_what_it_waits_for(server: Any) -> None:
    page = caller(server, "viewer").get(f"/understudy/models/{MODEL}").text
    assert "2 retrainings are queued:</strong> another one is under way" in page
    assert f'href="/dags/{DAG}/runs/run-1">Open the run that is under way</a>' in page
    assert f'href="/dags/{DAG}/runs/run-3">run-3</a>' in page
    assert "2 queued: another one is under way" in caller(server, "viewer").get("/understudy/").text
