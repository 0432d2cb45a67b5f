"""The roles of those who work with models, in the words of Airflow's FAB auth manager: (action, resource)."""

from understudy.contract.declared import Fact

Permission = tuple[str, str]

READ, EDIT, CREATE, MENU = "can_read", "can_edit", "can_create", "menu_access"


class Role(Fact):
    """Extend one of Airflow's own roles, perhaps that role itself; whatever else a new one was given by hand goes."""

    name: str
    extends: str
    permissions: tuple[Permission, ...]


VIEWER = Role(name="Viewer", extends="Viewer", permissions=((READ, "Plugins"),))
"""Airflow's own, which alone would not be told that there are our pages: Airflow's UI asks for its plugins first."""

ON_CALL = Role(
    name="On-call",
    extends="Viewer",
    # Airflow asks for "edit" on a DAG before it starts, stops or clears a run of it.
    permissions=(
        (EDIT, "DAGs"),
        (CREATE, "DAG Runs"),
        (EDIT, "DAG Runs"),
        (EDIT, "Task Instances"),
        (EDIT, "HITL Detail"),
        (MENU, "HITL Detail"),
    ),
)
"""Looks at everything, runs and stops DAGs (so also: rolls back, holds, releases), answers approvals. Deletes nothing,
and sees no connection, variable or configuration."""

PLATFORM = Role(name="Platform", extends="Op", permissions=((READ, "Audit Logs"), (MENU, "Audit Logs")))
"""Runs the installation: connections, variables, pools, configuration, and the log of who did what. No accounts."""

ROLES = (VIEWER, ON_CALL, PLATFORM)
"""In the order in which one builds on the other. Airflow's Admin stays as it is."""
