"""Ask a running Airflow by its public REST API, as somebody, and again where it is too busy to answer."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from understudy.contract.errors import UnderstudyError
from understudy.trust import trust_for

if TYPE_CHECKING:
    import httpx
    from tenacity import Retrying

ANSWER_WITHIN_S = 60.0
TRIES, PATIENCE_S = 5, 180.0
"""A machine that is busy for a minute must not end the watch of hours."""
LONGEST_PAUSE_S = 8.0
PASSING = {500, 502, 503, 504}
"""What Airflow says in trouble of its own: its database was locked, or a proxy did not reach it."""


class AirflowUnreachable(UnderstudyError):
    """Airflow does not answer."""

    def __init__(self, url: str, problem: str, *, is_remote: bool = False) -> None:
        way_out = (
            "Check AIRFLOW__UNDERSTUDY__AIRFLOW_URL, and whether it runs."
            if is_remote
            else "Look at `understudy doctor`; `understudy up` starts it."
        )
        super().__init__(f"Airflow at {url} does not answer ({problem}). {way_out}")


class AirflowRefused(UnderstudyError):
    """Airflow answers no."""

    def __init__(self, what: str, status: int, detail: str) -> None:
        self.status = status
        super().__init__(f"Airflow refused to {what} (HTTP {status}): {detail}")


class AirflowInTrouble(UnderstudyError):
    """Airflow answers that something of its own is broken, however often it is asked."""

    def __init__(self, what: str, status: int, detail: str) -> None:
        super().__init__(
            f"Airflow had trouble of its own each time it was asked to {what} (HTTP {status}): {detail.rstrip('.')}. "
            "Look at the log of its API server, and at its database."
        )


class AirflowClient:
    """Send requests with one person's login.

    Whatever is sent may be sent again: a look changes nothing, a change says what shall be, a question to people takes
    one answer, and a new run brings the id that it is to have.

    :param token: an access token; asked for with user and password when empty.
    :param is_remote: whether Airflow is on another machine, and perhaps behind the environment's proxy.
    """

    def __init__(self, url: str, user: str, password: str, *, token: str = "", is_remote: bool = False) -> None:
        self.url, self._user, self._password = url.rstrip("/"), user, password
        self._token, self._is_remote = token or None, is_remote

    def call(
        self, method: str, path: str, what: str, body: dict[str, Any] | None = None, *, may_be: int | None = None
    ) -> Any:
        """Ask for something and give the JSON that is answered, None where nothing is.

        :param what: what is asked for, in words that follow "Airflow refused to".
        :param may_be: a status of refusal that is an answer too: None is returned.
        :raises AirflowUnreachable, AirflowRefused, AirflowInTrouble: instead of an answer.
        """
        import httpx

        # Never through a proxy where Airflow is on this machine.
        with httpx.Client(
            base_url=self.url, timeout=ANSWER_WITHIN_S, trust_env=self._is_remote, verify=trust_for(self.url)
        ) as client:
            try:
                answer = _patience()(self._ask, client, method, path, body)
            except httpx.HTTPError as problem:
                said = str(problem) or type(problem).__name__
                raise AirflowUnreachable(self.url, said, is_remote=self._is_remote) from problem
        if answer.status_code == may_be:
            return None
        if answer.status_code in PASSING:
            raise AirflowInTrouble(what, answer.status_code, _detail(answer))
        if answer.is_error:
            raise AirflowRefused(what, answer.status_code, _detail(answer))
        return answer.json() if answer.content else None

    def _ask(self, client: "httpx.Client", method: str, path: str, body: dict[str, Any] | None) -> "httpx.Response":
        if self._token is None:
            login = client.post("/auth/token", json={"username": self._user, "password": self._password})
            if login.status_code in PASSING:
                return login
            if login.is_error:
                raise AirflowRefused("log in", login.status_code, _detail(login))
            self._token = str(login.json()["access_token"])
        return client.request(method, path, json=body, headers={"Authorization": f"Bearer {self._token}"})


@lru_cache(maxsize=1)
def _patience() -> "Retrying":
    """Ask again where nobody answered in time or Airflow was in trouble; the last try counts, whatever came of it."""
    import httpx
    from tenacity import (
        Retrying,
        retry_if_exception,
        retry_if_result,
        stop_after_attempt,
        stop_after_delay,
        wait_exponential,
    )

    def is_silence(problem: BaseException) -> bool:
        # Where nothing listens, nothing will in a moment.
        return isinstance(problem, httpx.HTTPError) and not isinstance(problem, httpx.ConnectError)

    def is_trouble(answer: httpx.Response) -> bool:
        return answer.status_code in PASSING

    return Retrying(
        retry=retry_if_exception(is_silence) | retry_if_result(is_trouble),
        stop=stop_after_attempt(TRIES) | stop_after_delay(PATIENCE_S),
        wait=wait_exponential(max=LONGEST_PAUSE_S),
        retry_error_callback=lambda last: last.outcome.result() if last.outcome else None,
    )


def _detail(answer: "httpx.Response") -> str:
    try:
        detail = answer.json().get("detail", answer.text)
    except ValueError:
        detail = answer.text
    if isinstance(detail, dict) and "reason" in detail:
        detail = f"{detail['reason']}. {detail.get('message', '')}"
    return str(detail)[:500]
