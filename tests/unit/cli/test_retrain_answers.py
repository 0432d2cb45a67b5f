from pathlib import Path

import pytest

from understudy.cli.airflow_login import NotRunning, airflow
from understudy.cli.retrain import EXIT_CODES, ended_of
from understudy.contract.words import Outcome
from understudy.settings import Settings


def test_every_outcome_has_an_exit_code_and_zero_where_nothing_is_wrong() -> None:
    assert set(EXIT_CODES) == set(Outcome)
    assert {outcome for outcome, code in EXIT_CODES.items() if code == 0} == {
        Outcome.PROMOTED,
        Outcome.DRY_RUN,
        Outcome.HELD_BACK,  # what was asked for had been done already
        Outcome.UNCHANGED,  # the same rows made the champion once more
    }
    assert (EXIT_CODES[Outcome.DECLINED], EXIT_CODES[Outcome.DATA_REFUSED], EXIT_CODES[Outcome.BROKEN]) == (3, 4, 1)


@pytest.mark.parametrize("told", [None, "text", []])
def test_a_run_that_told_no_outcome_is_broken(told: object) -> None:
    assert ended_of("tides", "run-1", told, "log").outcome is Outcome.BROKEN


def test_a_told_outcome_is_handed_on() -> None:
    told = {"outcome": "declined", "sentence": "too weak", "version": 3, "champion": 2}
    ended = ended_of("tides", "run-1", told, "log")
    assert (ended.outcome, ended.version, ended.champion) == (Outcome.DECLINED, 3, 2)


def test_the_airflow_of_the_settings_is_asked_and_without_one_the_embedded(tmp_path: Path) -> None:
    named = Settings.model_validate(
        {
            "UNDERSTUDY_HOME": tmp_path,
            "airflow_url": "http://api-server:8080/",
            "airflow_user": "ann",
            "airflow_password": "p",
        }
    )
    assert airflow(named).url == "http://api-server:8080"
    with pytest.raises(NotRunning, match="AIRFLOW__UNDERSTUDY__AIRFLOW_URL"):
        airflow(Settings.model_validate({"UNDERSTUDY_HOME": tmp_path}))
