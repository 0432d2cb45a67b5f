"""Send a message to one receiver: an Airflow connection to a mail server, a webhook, PagerDuty or Slack.

A connection's secrets go to its receiver and nowhere else. A webhook's address may be a secret itself, so what goes
wrong is told without it.
"""

import os
import smtplib
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from understudy.contract.alerts.alert import Alert
from understudy.contract.cards.text import shortened
from understudy.contract.errors import UnderstudyError
from understudy.contract.moment import moment_to_the_second
from understudy.contract.suggest import nearest

if TYPE_CHECKING:
    from airflow.sdk import Connection

SEND_S = 10.0
LONGEST_HEADER = 500
PAGERDUTY = "https://events.pagerduty.com"
SLACK = "https://hooks.slack.com/services"
SOURCE = "understudy"
_SLACK_MARKS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class ReceiverUnusable(UnderstudyError):
    """A receiver cannot be sent to as it is set up."""

    def __init__(self, conn_id: str, problem: str) -> None:
        self.conn_id, self.problem = conn_id, problem
        super().__init__(f"The connection {conn_id!r}, which alerts go to, {problem}.")


class NotTaken(UnderstudyError):
    """A receiver did not take a message; it may later."""

    def __init__(self, conn_id: str, problem: str) -> None:
        self.conn_id, self.problem = conn_id, problem
        super().__init__(f"{conn_id} did not take the alert ({problem}); it is sent again later.")


def send(conn_id: str, alert: Alert, mail_to: tuple[str, ...]) -> None:
    """Send a message to the receiver that a connection names.

    :raises ReceiverUnusable: where there is no such connection, or none that can be sent to.
    :raises NotTaken: where it does not answer, or says no.
    """
    connection = _connection(conn_id)
    conn_type = connection.conn_type or ""
    send_to = _KINDS.get(conn_type)
    if send_to is None:
        needed = f"one of {', '.join(_KINDS)} is needed{nearest(conn_type, list(_KINDS))}"
        raise ReceiverUnusable(conn_id, f"is of the type {conn_type!r}; {needed}")
    try:
        send_to(connection, alert, mail_to)
    except UnderstudyError:
        raise
    except Exception as odd:  # noqa: BLE001
        # People type connections, and each field that is odd in its own way breaks somebody else's code in another: one
        # receiver that cannot be used must neither keep the others from being told nor fail the task that decided.
        raise ReceiverUnusable(
            conn_id, f"cannot be used as it is set up ({type(odd).__name__}); look at its fields and its extra"
        ) from None


def _connection(conn_id: str) -> "Connection":
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError

    try:
        return BaseHook.get_connection(conn_id)
    except (AirflowException, AirflowRuntimeError) as unknown:
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        # Airflow takes one that it cannot read for one that is not there.
        problem = (
            "cannot be read; correct the JSON in" if variable in os.environ else "is unknown; add it, for example as"
        )
        raise ReceiverUnusable(conn_id, f"{problem} {variable}") from unknown


def _mail(connection: "Connection", alert: Alert, mail_to: tuple[str, ...]) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk.exceptions import AirflowException

    conn_id = str(connection.conn_id)
    if not mail_to:
        raise ReceiverUnusable(conn_id, "sends e-mail, and nobody is named; set alerts.mail_to or alerts_mail_to")
    if not connection.extra_dejson.get("from_email"):
        raise ReceiverUnusable(conn_id, "needs the sender's address as from_email in its extra")
    try:
        with SmtpHook(smtp_conn_id=conn_id) as hook:
            hook.send_email_smtp(
                to=list(mail_to),
                subject=alert.subject,
                html_content=_html(alert),
                # A server that has it already can tell: it is the same whenever the same alert is sent again.
                custom_headers={"X-Understudy-Alert": shortened(alert.key, LONGEST_HEADER)},
            )
    except (smtplib.SMTPException, AirflowException, OSError) as broken:
        raise NotTaken(conn_id, type(broken).__name__) from None


def _slack(connection: "Connection", alert: Alert, _mail_to: tuple[str, ...]) -> None:
    token = connection.password or ""
    url = token if token.startswith("http") else f"{_base(connection, SLACK)}/{token}"
    lines = [f"*{alert.subject}*", alert.sentence, *(f"• {line}" for line in alert.numbers)]
    text = "\n".join(line.translate(_SLACK_MARKS) for line in lines)
    links = [f"<{link}|{name}>" for link, name in _links(alert) if link.startswith("http")]
    named = [link for link, _ in _links(alert) if not link.startswith("http")]
    _post(connection, url, {"text": "\n".join([text, *named, *links])})


def _pagerduty(connection: "Connection", alert: Alert, _mail_to: tuple[str, ...]) -> None:
    body = {
        "routing_key": connection.password or "",
        "event_action": "trigger",
        "dedup_key": alert.key[:255],
        "payload": {
            "summary": alert.sentence,
            "source": SOURCE,
            "severity": alert.severity.value,
            "timestamp": alert.at.isoformat(),
            "component": alert.model,
            "class": alert.kind.value,
            "custom_details": {"numbers": list(alert.numbers), "ledger_entry": alert.seq},
        },
        "links": [{"href": link, "text": name} for link, name in _links(alert) if link.startswith("http")],
    }
    _post(connection, f"{_base(connection, PAGERDUTY)}/v2/enqueue", body)


def _webhook(connection: "Connection", alert: Alert, _mail_to: tuple[str, ...]) -> None:
    if not connection.host:
        raise ReceiverUnusable(str(connection.conn_id), "has no host; that is the address that alerts are posted to")
    body = {**alert.model_dump(mode="json"), "severity": alert.severity.value, "subject": alert.subject}
    headers = {name: value for name, value in connection.extra_dejson.items() if isinstance(value, str)}
    auth = (connection.login, connection.password or "") if connection.login else None
    _post(connection, _base(connection, ""), body, headers=headers, auth=auth)


def _post(connection: "Connection", url: str, body: Mapping[str, Any], **more: Any) -> None:
    # Not httpx, which logs every address that it asks.
    import requests
    from airflow.sdk.log import mask_secret

    conn_id = str(connection.conn_id)
    mask_secret(url)
    try:
        answer = requests.post(url, json=body, timeout=SEND_S, allow_redirects=False, **more)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        raise ReceiverUnusable(conn_id, "holds no address that can be posted to") from None
    except (requests.RequestException, ValueError) as broken:
        # Neither the cause nor its text: both hold the address.
        raise NotTaken(conn_id, type(broken).__name__) from None
    if not HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
        raise NotTaken(conn_id, f"HTTP {answer.status_code}")


def _base(connection: "Connection", otherwise: str) -> str:
    """Give the address of a connection, whose host may hold the whole of it, as Airflow's own HTTP hook reads it."""
    host = (connection.host or "").rstrip("/")
    if not host:
        return otherwise
    if "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{host}{port}"


def _links(alert: Alert) -> list[tuple[str, str]]:
    named = ((alert.page, alert.page_title), (alert.runbook, "What to do"))
    return [(link, name) for link, name in named if link]


def _html(alert: Alert) -> str:
    numbers = "".join(f"<li>{escape(line)}</li>" for line in alert.numbers)
    links = "".join(
        f'<p><a href="{escape(link)}">{escape(name)}</a></p>'
        if link.startswith("http")
        else f"<p>{escape(name)}: {escape(link)}</p>"
        for link, name in _links(alert)
    )
    entry = f"<p>Ledger entry {alert.seq}, {moment_to_the_second(alert.at)}</p>" if alert.seq is not None else ""
    return f"<p>{escape(alert.sentence)}</p><ul>{numbers}</ul>{links}{entry}{_card(alert)}"


def _card(alert: Alert) -> str:
    if not alert.card:
        return ""
    from markdown_it import MarkdownIt

    return f"<hr>{MarkdownIt('commonmark', {'html': False}).enable('table').render(alert.card)}"


_KINDS: Mapping[str, Callable[["Connection", Alert, tuple[str, ...]], None]] = MappingProxyType(
    {"smtp": _mail, "slackwebhook": _slack, "pagerduty_events": _pagerduty, "http": _webhook}
)
