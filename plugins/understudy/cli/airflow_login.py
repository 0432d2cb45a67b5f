"""The Airflow that the commands talk to, as the person who types them."""

import sys
from functools import lru_cache
from getpass import getpass
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
            f"No account was given to log in to {url}: what is done there is done in somebody's name. "
            "A terminal is asked for an account; elsewhere set AIRFLOW__UNDERSTUDY__AIRFLOW_TOKEN, or "
            "AIRFLOW__UNDERSTUDY__AIRFLOW_USER and AIRFLOW__UNDERSTUDY__AIRFLOW_PASSWORD, to your own."
        )


@lru_cache(maxsize=1)
def _asked(url: str, user: str) -> tuple[str, str]:
    """Ask the person at the terminal, once a command; its answer on stdout stays an answer."""
    account = user
    if not account:
        # Not typer's prompt, half of which goes to stdout.
        sys.stderr.write(f"Your account at {url}: ")
        sys.stderr.flush()
        account = sys.stdin.readline().strip()
    if not account:
        raise NoCredential(url)
    return account, getpass(f"Password of {account}: ")


def airflow(settings: Settings, way_out: str = "") -> "AirflowApi":
    """Reach the Airflow that the settings name, else the embedded one: as whom they name, else as its administrator.

    :param way_out: what else the caller can do without one.
    :raises NotRunning, NoCredential: where there is none, or nobody to be.
    """
    from understudy.embedded.airflow_api import AirflowApi
    from understudy.embedded.layout import Layout
    from understudy.embedded.stack import running

    token = settings.airflow_token.get_secret_value()
    if settings.airflow_url:
        user, password = ("", "") if token else _account(settings, settings.airflow_url)
        return AirflowApi(settings.airflow_url, user, password, token=token, is_remote=True)
    stack = running(Layout(home=settings.home.resolve()))
    if stack is None:
        raise NotRunning(way_out)
    # What is done in somebody's name must not be written down as the administrator's.
    if token:
        return AirflowApi(stack.airflow, "", "", token=token)
    if settings.airflow_user:
        return AirflowApi(stack.airflow, *_account(settings, stack.airflow))
    return AirflowApi(stack.airflow, stack.user, stack.password.get_secret_value())


def _account(settings: Settings, url: str) -> tuple[str, str]:
    """Give the account that the settings name; a terminal is asked for what they lack."""
    user, password = settings.airflow_user, settings.airflow_password.get_secret_value()
    if user and password:
        return user, password
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise NoCredential(url)
    return _asked(url, user)
