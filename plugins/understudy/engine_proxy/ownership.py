"""Who owns containers and images: the proxy acts on what it made, and creates from what is meant for stages."""

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from understudy.engine_proxy.description import STACK_LABEL
from understudy.engine_proxy.engine import Answer, Engine
from understudy.engine_proxy.refusals import NoEngine, NotOurs, OutOfItsBox
from understudy.engine_proxy.strict_json import write
from understudy.gateway.container_engine import SCORING_LABEL
from understudy.runners.container import ENTRY_LABEL
from understudy.runners.protocol import LABEL


class Known(NamedTuple):
    """Hold a container of the stack: under its id, which nothing else can take over."""

    id: str
    has_started: bool
    answer: Answer


async def known(engine: Engine, version: str, container: str, stack: str) -> Known | Answer:
    """Look at a container; give the engine's own answer where it finds none.

    :raises NotOurs: where this stack did not make it.
    """
    answer = await engine.ask(f"{version}/containers/{container}/json")
    if answer.status != HTTPStatus.OK:
        return answer
    facts = _facts(answer)
    labels = (facts.get("Config") or {}).get("Labels") or {}
    if labels.get(STACK_LABEL) != stack:
        raise NotOurs(container)
    return Known(str(facts["Id"]), (facts.get("State") or {}).get("Status") != "created", answer)


async def image(engine: Engine, version: str, name: str) -> Answer:
    """Say of an image what runners and gateways ask: which one it is, and our labels."""
    answer = await engine.ask(f"{version}/images/{name}/json")
    if answer.status != HTTPStatus.OK:
        return answer
    facts = _facts(answer)
    labels = (facts.get("Config") or {}).get("Labels") or {}
    ours = {label: value for label, value in labels.items() if label.startswith(f"{LABEL}.")}
    told = {name: facts.get(name) for name in ("Id", "RepoTags", "RepoDigests")}
    return Answer(HTTPStatus.OK, write({**told, "Config": {"Labels": ours}}))


async def require_stage_image(engine: Engine, version: str, name: str) -> Answer | None:
    """Let through what is meant to run stages or to score; give the engine's own answer where there is no such image.

    :raises OutOfItsBox: for an image of somebody else, whose files are none of our business.
    """
    answer = await image(engine, version, name)
    if answer.status != HTTPStatus.OK:
        return answer
    if not {ENTRY_LABEL, SCORING_LABEL} & _facts(answer)["Config"]["Labels"].keys():
        raise OutOfItsBox(
            "Image", "is none that runs stages", f"Build it FROM the stage image ({ENTRY_LABEL} is its label)."
        )
    return None


def _facts(answer: Answer) -> dict[str, Any]:
    try:
        facts = json.loads(answer.body)
    except ValueError as broken:
        raise NoEngine("it answers in another language") from broken
    if not isinstance(facts, dict):
        raise NoEngine("it answers in another language")
    return facts
