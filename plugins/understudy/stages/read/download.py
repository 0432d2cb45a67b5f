"""Fetch a source over HTTP."""

import logging
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from shutil import copyfileobj
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from understudy.stages.context import Refused
from understudy.stages.errors import SourceUnreachable

log = logging.getLogger(__name__)
TIMEOUT_S = 60
RETRY_LATER = {408, 425, 429}
MEANT_AS_IT_IS = "/%:;=@&+$,!~*'()?"  # what a part of an address may hold; the rest is escaped


def download(url: str, destination: Path) -> None:
    """Save what a URL gives.

    :raises Refused: for an address that will not answer better next time.
    :raises SourceUnreachable: for what is worth another try: timeouts, server errors, an answer that broke off.
    """
    shown, request = without_secrets(url), _request(url)
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked by _request
            with destination.open("wb") as sink:
                copyfileobj(answer, sink, 1 << 20)
            promised = str(answer.headers.get("Content-Length", ""))
            in_chunks = answer.headers.get("Transfer-Encoding") is not None
    except HTTPError as status:
        status.close()
        answered = f"answers {status.code} {status.reason.splitlines()[0]}"
        if status.code < 500 and status.code not in RETRY_LATER:
            raise Refused(f"{shown} {answered}; check the address and its access", "data.source") from status
        raise SourceUnreachable(shown, answered) from status
    except URLError as unreachable:
        raise SourceUnreachable(shown, f"does not answer ({unreachable.reason})") from unreachable
    except (HTTPException, TimeoutError, ConnectionError) as broken:
        raise SourceUnreachable(shown, f"broke off, or gave no HTTP ({broken!r})") from broken
    if not promised and not in_chunks:  # the last chunk says that it is the last one
        log.warning("%s does not say how long its answer is, so nobody can tell whether it broke off", shown)
    found = destination.stat().st_size
    if promised.isdecimal() and found != int(promised):
        raise SourceUnreachable(shown, f"broke off after {found:,} of {int(promised):,} bytes")


def without_secrets(url: str) -> str:
    """Write an address without user, password and query, which may hold keys."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return f"{url.split(':', maxsplit=1)[0]}://…"


def _request(url: str) -> Request:
    """Escape what an address may not hold, and send user and password as a header that no redirect takes along."""
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
        name = f"[{name}]" if ":" in name else name.encode("idna").decode()
        host = f"{name}:{parts.port}" if parts.port else name
    except ValueError as unusable:
        raise Refused(
            f"{without_secrets(url)} is not a usable address; correct data.source", "data.source"
        ) from unusable
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(
            f"{without_secrets(url)} cannot be downloaded; use http:// or https://, or a file path", "data.source"
        )
    escaped = (quote(part, MEANT_AS_IT_IS) for part in (parts.path, parts.query))
    whole = urlunsplit((parts.scheme, host, *escaped, ""))
    request = Request(whole, headers={"User-Agent": "understudy"})  # noqa: S310 - the scheme is checked above
    if parts.username is not None:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {b64encode(account).decode()}")
    return request
