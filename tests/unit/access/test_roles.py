import importlib.util

import pytest
from pydantic import SecretStr

from understudy.access.accounts import NoAccounts, bring
from understudy.access.roles import ON_CALL, PLATFORM, ROLES, VIEWER


def test_on_call_may_act_on_runs_and_nothing_else() -> None:
    assert ON_CALL.extends == "Viewer"
    assert {action for action, _ in ON_CALL.permissions} == {"can_create", "can_edit", "menu_access"}
    assert {resource for _, resource in ON_CALL.permissions} == {"DAGs", "DAG Runs", "Task Instances", "HITL Detail"}


def test_who_only_looks_changes_nothing() -> None:
    assert {action for action, _ in VIEWER.permissions} == {"can_read"}
    assert ROLES.index(VIEWER) < ROLES.index(ON_CALL), "what extends another comes after it"


def test_platform_changes_no_accounts() -> None:
    assert PLATFORM.extends == "Op"
    assert not {resource for _, resource in PLATFORM.permissions} & {"Users", "Roles", "Passwords"}


@pytest.mark.skipif(importlib.util.find_spec("airflow.providers.fab") is not None, reason="the FAB provider is here")
def test_an_airflow_without_accounts_says_so() -> None:
    with pytest.raises(NoAccounts, match="apache-airflow-providers-fab"):
        bring(SecretStr(""))
