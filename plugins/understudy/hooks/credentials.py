"""What an Airflow connection says of a service; read where it is needed, since it may be rotated."""

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving_target import Credentials


class ConnectionUnknown(UnderstudyError):
    """Airflow has no connection of that name."""

    def __init__(self, conn_id: str, cause: str) -> None:
        self.conn_id = conn_id
        super().__init__(
            f"The Airflow connection {conn_id!r} cannot be read ({cause}). Add it, for example as "
            f"AIRFLOW_CONN_{conn_id.upper()}, or correct serving.connection."
        )


def credentials_of(conn_id: str) -> Credentials:
    """Read a connection from Airflow; from its environment variables and secrets backends outside of a task.

    :raises ConnectionUnknown: where there is none.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError

    try:
        found = BaseHook.get_connection(conn_id)
    except (AirflowException, AirflowRuntimeError) as unknown:
        raise ConnectionUnknown(conn_id, str(unknown).splitlines()[0]) from unknown
    return Credentials.model_validate(
        {
            "host": found.host,
            "port": found.port,
            "login": found.login,
            "password": found.password,
            "extra": found.extra_dejson,
        }
    )
