"""The Airflow that the commands talk to, as the person who types them."""

from typing import TYPE_CHECKING

from understudy.contract.errors import UnderstudyError
from understudy.settings import Settings

if TYPE_CHECKING:
    from understudy.embedded.airflow_api import AirflowApi


class NotRunning(UnderstudyError):
    """No Airflow is known."""

    def __init__(self, way_out: str) -> None:
        super().__init__(
            "The embedded Airflow is not running, and AIRFLOW__UNDERSTUDY__AIRFLOW_URL names no other. "
            f"Start it with `understudy up`{way_out}."
        )


class NoCredential(UnderstudyError):
    """Airflow is known, and nobody said as whom to talk to it."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"Nobody said as whom to log in to {url}. Set AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN, or AIRFLOW_USER and "
            "AIRFLOW_PASSWORD with the same prefix; .env.example explains them."
        )


def airflow(settings: Settings, way_out: str = "") -> "AirflowApi":
    """Reach the Airflow that the settings name, else the embedded one as its administrator.

    :param way_out: what else the caller can do without one.
    :raises NotRunning, NoCredential: where there is none, or nobody to be.
    """
    from understudy.embedded.airflow_api import AirflowApi
    from understudy.embedded.layout import Layout
    from understudy.embedded.stack import running

    if settings.airflow_url:
        token, password = settings.airflow_token.get_secret_value(), settings.airflow_password.get_secret_value()
        if not token and not (settings.airflow_user and password):
            raise NoCredential(settings.airflow_url)
        return AirflowApi(settings.airflow_url, settings.airflow_user, password, token=token, is_remote=True)
    stack = running(Layout(home=settings.home.resolve()))
    if stack is None:
        raise NotRunning(way_out)
    return AirflowApi(stack.airflow, stack.user, stack.password.get_secret_value())
