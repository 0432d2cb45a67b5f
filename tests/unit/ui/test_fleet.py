import pytest
from sqlalchemy import event

from tests.fleet_ledger import write_fleet
from tests.unit.overview.demand import MODEL, confirmed, deployed, seen
from understudy.contract.words import EntryKind
from understudy.hooks.ledger.ledger import Ledger
from understudy.overview.airflow_state import Airflow
from understudy.overview.fleet_reader import FleetReader
from understudy.overview.glance import Glance, Health
from understudy.ui.fleet import Asked, Sort, fleet

NOTHING = Airflow(dags={})


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    path = tmp_path_factory.mktemp("fleet") / "ledger.db"
    write_fleet(path, 30, 14)
    return Ledger(f"sqlite:///{path}")


def models() -> list[Glance]:
    well, empty = seen(deployed(), confirmed()), seen()
    return [
        well.model_copy(update={"model": "beta"}),
        empty.model_copy(update={"model": "gamma"}),
        seen(deployed()).model_copy(update={"model": "alpha", "owner": "Fraud team"}),
    ]


def names(**asked: object) -> list[str]:
    return [one.model for one in fleet(models(), Asked.model_validate(asked)).models]


def test_what_needs_attention_comes_first() -> None:
    assert names() == ["alpha", "beta", "gamma"]
    assert names(backwards=True) == ["gamma", "beta", "alpha"]


def test_models_are_found_by_name_and_by_team_in_any_case() -> None:
    assert names(search="BET") == ["beta"]
    assert names(search=" fraud ") == ["alpha"]
    assert names(search="%") == []


def test_a_state_filters_and_every_state_is_counted() -> None:
    shown = fleet(models(), Asked(health=Health.EMPTY))
    assert ([one.model for one in shown.models], shown.found, shown.total) == (["gamma"], 1, 3)
    assert shown.counts[Health.ATTENTION] == 1
    assert Asked.model_validate({"health": ""}).health is None


def test_a_page_after_the_last_is_the_last() -> None:
    shown = fleet(models(), Asked(sort=Sort.MODEL, size=2, page=99))
    assert ([one.model for one in shown.models], shown.page, shown.pages) == (["gamma"], 2, 2)
    assert fleet([], Asked()).pages == 1


def test_models_without_a_champion_come_last_by_age() -> None:
    assert names(sort="since")[-1] == "gamma"


def test_the_number_of_queries_does_not_grow_with_the_fleet(ledger: Ledger) -> None:
    queries: list[str] = []

    @event.listens_for(ledger._engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    reader = FleetReader(ledger)
    assert len(reader.glances(NOTHING)) == 30
    assert sum("FROM ledger" in query for query in queries) == 3


def test_what_is_read_again_is_what_a_fresh_reader_reads(ledger: Ledger) -> None:
    reader = FleetReader(ledger)
    reader.glances(NOTHING)
    lock = ledger.append("model_0003", EntryKind.LOCKED, "ann", "the audit", facts={"version": 2})
    ledger.append("model_0004", EntryKind.HELD, "ben", "the fair")
    ledger.append("model_0004", EntryKind.CONCLUDED, "ann", "refused", facts={"outcome": "data_refused"})
    again = {one.model: one for one in reader.glances(NOTHING)}
    assert again == {one.model: one for one in FleetReader(ledger).glances(NOTHING)}
    # A note more says that nobody declares them.
    assert again["model_0003"].notes[0] == "version 2 is locked: the audit"
    assert (again["model_0004"].health, again["model_0004"].notes[0]) == (Health.ATTENTION, "held by ben: the fair")
    ledger.append("model_0003", EntryKind.UNLOCKED, "ann", "over", facts={"version": 2})
    one = reader.glance("model_0003", NOTHING)
    assert one is not None
    assert (len(one.notes), lock.seq > 0) == (1, True)


def test_a_model_that_nobody_knows_is_none(ledger: Ledger) -> None:
    assert FleetReader(ledger).glance("no_such_model", NOTHING) is None
    assert FleetReader(ledger).glance(MODEL, NOTHING) is None
