"""Fetch a source over HTTP."""

from pathlib import Path
from shutil import copyfileobj
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from understudy.stages.context import Refused

TIMEOUT_S = 60
RETRY_LATER = {408, 425, 429}


def download(url: str, destination: Path) -> None:
    """Save what a URL gives.

    :raises Refused: for an address that will not answer better next time; timeouts and server errors stay OSErrors, so
        that the task is tried again.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Refused(
            f"{without_secrets(url)} cannot be downloaded; use http:// or https://, or a file path", "data.source"
        )
    try:
        with urlopen(Request(url, headers={"User-Agent": "understudy"}), timeout=TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked above
            with destination.open("wb") as sink:
                copyfileobj(answer, sink, 1 << 20)
            promised = answer.headers.get("Content-Length")
    except HTTPError as status:
        status.close()
        answered = f"{without_secrets(url)} answers {status.code} {status.reason}"
        if 400 <= status.code < 500 and status.code not in RETRY_LATER:
            raise Refused(f"{answered}; check the address and its access", "data.source") from status
        raise ConnectionError(answered) from status
    if promised is not None and destination.stat().st_size != int(promised):
        raise ConnectionError(
            f"{without_secrets(url)} broke off after {destination.stat().st_size:,} of {promised} bytes"
        )


def without_secrets(url: str) -> str:
    """Write an address without user, password and query, which may hold keys."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
