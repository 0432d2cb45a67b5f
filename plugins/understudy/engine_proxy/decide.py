"""Decide what becomes of a request that may be asked."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from understudy.engine_proxy.description import STACK_LABEL
from understudy.engine_proxy.engine import Answer, Engine, head
from understudy.engine_proxy.ownership import image, known, require_stage_image
from understudy.engine_proxy.refusals import NotAsked, OutOfItsBox, RunsAlready, Unreadable
from understudy.engine_proxy.request import Request
from understudy.engine_proxy.routes import Act, Asked
from understudy.engine_proxy.strict_json import read_object, write
from understudy.engine_proxy.vet import Allowance, vetted, written

DESCRIPTION_LIMIT = 64 << 10
NAME = re.compile(r"understudy-[A-Za-z0-9_.-]{1,200}")
UPGRADE = ("Connection: Upgrade", "Upgrade: tcp", "Content-Length: 0")
ARCHIVE = ("Connection: close", "Content-Type: application/x-tar", "Transfer-Encoding: chunked")


@dataclass(frozen=True)
class Order:
    """What the engine is told: bytes of ours, and perhaps a body that goes through."""

    head: bytes
    body: AsyncIterator[bytes] | None = None
    is_tunnel: bool = False


class Desk:
    """Decide for one stack."""

    def __init__(self, engine: Engine, allowance: Allowance) -> None:
        self.engine, self.allowance = engine, allowance

    async def decide(self, asked: Asked, request: Request) -> Order | Answer:
        """Give what to tell the engine, or the answer.

        :raises NotHandedOn: where neither is due.
        """
        if request.wants_upgrade != (asked.act is Act.ATTACH):
            raise Unreadable("it asks for another protocol, which attaching does and nothing else")
        if asked.act is Act.CREATE:
            return await self._create(asked, await request.small_body(DESCRIPTION_LIMIT))
        if asked.act is not Act.PUT:
            request.require_no_body()
        if asked.act is Act.LOOK_AT_ENGINE:
            return Order(head("GET", asked.path))
        if asked.act is Act.LOOK_AT_IMAGE:
            return await image(self.engine, asked.version, asked.name)
        if asked.act is Act.LIST:
            return self._list(asked)
        return await self._at_container(asked, request)

    async def _at_container(self, asked: Asked, request: Request) -> Order | Answer:
        found = await known(self.engine, asked.version, asked.name, self.allowance.stack)
        if isinstance(found, Answer):
            return found
        if asked.act is Act.LOOK:
            return found.answer
        if asked.act is Act.PUT and found.has_started:
            raise RunsAlready(asked.name)
        return _order(asked, found.id, request)

    async def _create(self, asked: Asked, body: bytes) -> Order | Answer:
        name = asked.query.get("name", "")
        if not NAME.fullmatch(name):
            raise OutOfItsBox("name", "has to begin with 'understudy-'")
        description = vetted(body, self.allowance)
        missing = await require_stage_image(self.engine, asked.version, description.Image)
        if missing is not None:
            return missing
        document = written(description, self.allowance)
        more = ("Connection: close", "Content-Type: application/json", f"Content-Length: {len(document)}")
        return Order(head("POST", f"{asked.version}/containers/create", {"name": name}, *more) + document)

    def _list(self, asked: Asked) -> Order:
        labels = [*_labels(asked.query), f"{STACK_LABEL}={self.allowance.stack}"]
        filters = write({"label": labels}).decode()
        query = {"all": asked.query.get("all", "0"), "filters": filters}
        return Order(head("GET", asked.path, query))


def _order(asked: Asked, container: str, request: Request) -> Order:
    at, query = f"{asked.version}/containers/{container}", asked.query
    if asked.act is Act.PUT:
        return Order(head("PUT", f"{at}/archive", query, *ARCHIVE), request.body())
    if asked.act is Act.ATTACH:
        return Order(head("POST", f"{at}/attach", query, *UPGRADE), is_tunnel=True)
    return Order(
        {
            Act.START: head("POST", f"{at}/start", query, "Connection: close", "Content-Length: 0"),
            Act.LOGS: head("GET", f"{at}/logs", query),
            Act.MEASURE: head("GET", f"{at}/stats", query),
            Act.GET: head("GET", f"{at}/archive", query),
            Act.REMOVE: head("DELETE", at, query),
        }[asked.act]
    )


def _labels(query: Mapping[str, str]) -> list[str]:
    if "filters" not in query:
        return []
    filters = read_object(query["filters"].encode())
    labels = filters.get("label")
    if filters.keys() != {"label"} or not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
        raise NotAsked(f"containers by {json.dumps(filters)}")
    return labels
