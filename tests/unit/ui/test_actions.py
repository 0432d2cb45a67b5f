from typer.testing import CliRunner

from tests.fleet_ledger import bundle
from tests.unit.overview.demand import MODEL, confirmed, deployed, seen
from understudy.cli.app import app
from understudy.contract.release import LedgerEntry
from understudy.contract.words import Change
from understudy.overview.airflow_state import Airflow, DagState
from understudy.overview.glance import Glance
from understudy.ui.actions import Offer, offers

EVERYTHING = ("rollback", "hold", "release", "lock", "unlock", "stop_shadow", f"retrain__{MODEL}")


def airflow(*dag_ids: str) -> Airflow:
    return Airflow(dags={dag_id: DagState(dag_id=dag_id) for dag_id in dag_ids})


def offered(shown: Glance, known: Airflow, *, locked: bool = False, held: bool = False) -> dict[str, Offer]:
    locks = {2: "the audit"} if locked else {}
    found = offers(shown, [1], locks, known, lambda dag_id: dag_id != "rollback", is_held=held)
    return {offer.dag_id: offer for offer in found}


def served(*others: LedgerEntry) -> Glance:
    return seen(deployed(), confirmed(), *others)


def test_only_what_has_a_dag_is_offered() -> None:
    assert set(offered(served(), airflow("rollback"))) == {"rollback"}
    assert set(offered(served(), airflow(*EVERYTHING))) == {"rollback", "lock", "hold", f"retrain__{MODEL}"}


def test_what_a_person_may_not_do_is_shown_and_cannot_be_done() -> None:
    found = offered(served(), airflow(*EVERYTHING))
    assert (found["rollback"].may, found["hold"].may) == (False, True)


def test_a_rollback_names_the_version_it_goes_to() -> None:
    offer = offered(served(), airflow("rollback"))["rollback"]
    assert offer.chosen == "target"
    assert [choice.value for choice in offer.choices] == ["1"]


def test_held_and_locked_models_offer_the_way_out() -> None:
    found = offered(served(), airflow(*EVERYTHING), locked=True, held=True)
    assert {"release", "unlock"} <= set(found)
    assert not {"hold", "lock"} & set(found)
    assert found["unlock"].conf == {"model": MODEL, "version": "2"}


def test_nothing_is_rolled_back_where_nothing_serves() -> None:
    assert set(offered(seen(), airflow(*EVERYTHING))) == {"hold", f"retrain__{MODEL}"}


def test_what_airflow_would_keep_waiting_is_said_with_the_command_that_needs_no_airflow() -> None:
    dags = {dag_id: DagState(dag_id=dag_id, is_paused=dag_id == "rollback") for dag_id in EVERYTHING}
    found = offered(served(), Airflow(dags=dags))
    assert {dag_id for dag_id, offer in found.items() if offer.is_paused} == {"rollback"}
    assert (found["rollback"].command, found["rollback"].chosen_option) == (f"understudy rollback {MODEL}", "--to")
    assert found["lock"].command == f"understudy lock {MODEL} 2"
    assert found[f"retrain__{MODEL}"].command == f"understudy retrain {MODEL} --local"


def test_every_command_of_an_offer_is_one_that_there_is() -> None:
    held = offered(served(), airflow(*EVERYTHING), locked=True, held=True)
    mirror = deployed(epoch=3, champion_since=2, change=Change.MIRROR_STARTED, mirror=bundle(MODEL, 3))
    tried = offered(served(mirror), airflow(*EVERYTHING))
    for offer in {**held, **tried}.values():
        words = [*offer.command.split()[1:], *([offer.chosen_option, "1"] if offer.chosen else []), "--reason", "x"]
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words


def test_a_dry_run_of_a_retraining_does_not_hold_up_the_person() -> None:
    assert offered(served(), airflow(*EVERYTHING))[f"retrain__{MODEL}"].says_at_once is False
