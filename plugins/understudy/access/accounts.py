"""Bring the roles, and the first account, into Airflow's database. Only where the FAB auth manager is installed."""

from typing import Any

from pydantic import SecretStr

from understudy.access.roles import ROLES, Permission, Role
from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError

ADMIN = "admin"


class NoAccounts(UnderstudyError):
    """This Airflow has no accounts of its own."""

    def __init__(self) -> None:
        super().__init__(
            "This Airflow keeps no roles: apache-airflow-providers-fab is not installed. docker-compose.yaml's image "
            "has it; docs/auth.md tells about others."
        )


class RoleUnknown(UnderstudyError):
    """Airflow has no role that ours could extend."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Airflow has no role {name}. Run `airflow db migrate` and `airflow sync-perm` first.")


class PermissionNotKept(UnderstudyError):
    """Airflow did not store a permission."""

    def __init__(self, role: str, permission: Permission) -> None:
        super().__init__(
            f"Airflow did not give {permission[0]} on {permission[1]} to the role {role}; its log says why."
        )


class Access(Fact):
    """Say which roles there are now, and whether the first account was made just now."""

    roles: tuple[str, ...]
    created: str | None


def bring(password: SecretStr) -> Access:
    """Make the roles what they are declared to be, and create the first account unless it is there.

    An account that exists keeps its password and its roles, whatever was changed by hand.

    :raises NoAccounts: without the FAB auth manager.
    """
    try:
        from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    except ImportError as absent:
        raise NoAccounts from absent
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        for role in ROLES:
            _bring_role(manager, role)
        created = _bring_admin(manager, password)
        names = sorted(str(role.name) for role in manager.get_all_roles())
    return Access(roles=tuple(names), created=created)


def _bring_role(manager: Any, role: Role) -> None:
    extended = manager.find_role(role.extends)
    if extended is None:
        raise RoleUnknown(role.extends)
    wanted = {(held.action.name, held.resource.name) for held in extended.permissions} | set(role.permissions)
    kept = manager.add_role(role.name)
    for held in list(kept.permissions):
        if (held.action.name, held.resource.name) not in wanted:
            manager.remove_permission_from_role(kept, held)
    has = {(held.action.name, held.resource.name) for held in kept.permissions}
    for action, resource in sorted(wanted - has):
        permission = manager.create_permission(action, resource)
        if permission is None:
            raise PermissionNotKept(role.name, (action, resource))
        manager.add_permission_to_role(kept, permission)


def _bring_admin(manager: Any, password: SecretStr) -> str | None:
    if not password.get_secret_value() or manager.find_user(username=ADMIN) is not None:
        return None
    manager.add_user(
        username=ADMIN,
        first_name="First",
        last_name="Account",
        email=f"{ADMIN}@localhost",
        role=manager.find_role("Admin"),
        password=password.get_secret_value(),
    )
    return ADMIN
