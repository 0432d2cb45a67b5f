"""What may be asked of the engine: method, path and each parameter of the query."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import unquote

from understudy.engine_proxy.description import IMAGE
from understudy.engine_proxy.refusals import NotAsked, Unreadable
from understudy.runners.copied import ANSWER
from understudy.runners.delivery import STAGE_FOLDER

# What docker-py speaks is what the engine speaks, and measuring a container once needs 1.41. Before 1.24, a start took
# a description of its own.
VERSIONED = re.compile(r"(/v1\.(?:4[1-9]|[5-9][0-9]))(/.*)")
CONTAINER = r"/containers/(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,254})"
YES = {"1": "1", "True": "1", "true": "1"}
NO = {"0": "0", "False": "0", "false": "0"}
EITHER = {**YES, **NO}


class Act(Enum):
    """What a request is about."""

    LOOK_AT_ENGINE = "look at the engine"
    LOOK_AT_IMAGE = "look at an image"
    LIST = "list containers"
    CREATE = "create a container"
    LOOK = "look at a container"
    START = "start a container"
    ATTACH = "attach to a container"
    LOGS = "read a container's log"
    MEASURE = "measure a container"
    PUT = "put files into a container"
    GET = "get files from a container"
    REMOVE = "remove a container"


@dataclass(frozen=True)
class Route:
    """One thing that may be asked; a parameter maps what may be said to what is handed on, or is read elsewhere."""

    act: Act
    method: str
    path: re.Pattern[str]
    query: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Asked:
    """Hold a request that may be asked: where, of whom, and with what in its query."""

    act: Act
    version: str
    name: str
    path: str
    query: Mapping[str, str]


FILES, ANSWERED = STAGE_FOLDER, f"{STAGE_FOLDER}/{ANSWER}"
PATH = frozenset({"path"})
LISTED = {"all": EITHER, "limit": {"-1": "-1"}, "size": NO, "trunc_cmd": EITHER, "filters": None}
ROUTES = (
    Route(Act.LOOK_AT_ENGINE, "GET", re.compile(r"/(version|_ping)")),
    Route(Act.LOOK_AT_IMAGE, "GET", re.compile(rf"/images/(?P<name>{IMAGE})/json")),
    Route(Act.LIST, "GET", re.compile(r"/containers/json"), LISTED),
    Route(Act.CREATE, "POST", re.compile(r"/containers/create"), {"name": None}),
    Route(Act.LOOK, "GET", re.compile(rf"{CONTAINER}/json")),
    Route(Act.START, "POST", re.compile(rf"{CONTAINER}/start")),
    Route(Act.ATTACH, "POST", re.compile(rf"{CONTAINER}/attach"), {"stdin": YES, "stdout": YES, "stream": YES}),
    Route(Act.LOGS, "GET", re.compile(rf"{CONTAINER}/logs"), {"follow": EITHER, "stdout": YES, "stderr": YES}),
    Route(Act.MEASURE, "GET", re.compile(rf"{CONTAINER}/stats"), {"stream": NO, "one-shot": YES}),
    Route(Act.PUT, "PUT", re.compile(rf"{CONTAINER}/archive"), {"path": {FILES: FILES}}, PATH),
    Route(Act.GET, "GET", re.compile(rf"{CONTAINER}/archive"), {"path": {ANSWERED: ANSWERED}}, PATH),
    Route(Act.REMOVE, "DELETE", re.compile(CONTAINER), {"v": EITHER, "link": NO, "force": EITHER}),
)


def read_route(method: str, target: str) -> Asked:
    """Find what a request asks.

    :raises NotAsked: where it is nothing that ours ask.
    :raises Unreadable: where its query could be read in two ways.
    """
    written, _, query = target.partition("?")
    path = _plain(written)
    versioned = VERSIONED.fullmatch(path)
    version, rest = (versioned[1], versioned[2]) if versioned else ("", path)
    for route in ROUTES:
        match = route.path.fullmatch(rest) if method == route.method else None
        if match is not None and (version or route.act is Act.LOOK_AT_ENGINE):
            name = match.groupdict().get("name") or ""
            return Asked(route.act, version, name, path, _query(route, query, f"{method} {target}"))
    raise NotAsked(f"{method} {target}")


def _plain(written: str) -> str:
    try:
        return unquote(written, errors="strict")
    except UnicodeDecodeError as wrong:
        raise Unreadable("its path or query is no UTF-8") from wrong


def _query(route: Route, query: str, asked: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, written = part.partition("=")
        if name in found or not equals or ";" in part:
            raise Unreadable("its query names a parameter twice, or gives it no value")
        value = _plain(written.replace("+", " "))
        if name not in route.query:
            raise NotAsked(asked)
        may = route.query[name]
        if may is not None and value not in may:
            raise NotAsked(asked)
        found[name] = value if may is None else may[value]
    if not found.keys() >= route.needs:
        raise NotAsked(asked)
    return found
