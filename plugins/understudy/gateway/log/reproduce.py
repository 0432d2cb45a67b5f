"""Ask the very version again that answered a logged request, and compare."""

import math
from pathlib import Path
from typing import Any

import orjson

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle
from understudy.gateway.exchange import Item
from understudy.gateway.log.find import Logged
from understudy.gateway.places import Place
from understudy.gateway.worker import WorkerStart

TOLERANCE = 1e-9
MOST_ROWS = 100_000


class NotReproducible(UnderstudyError):
    """A logged request cannot be asked again."""

    def __init__(self, logged: Logged, problem: str) -> None:
        self.request_id = logged.request_id
        super().__init__(f"The prediction {logged.request_id} of {logged.model} cannot be reproduced: {problem}.")


class Output(Fact):
    """Hold what a version says of a request's rows."""

    predictions: list[Any]
    probabilities: list[list[float]] | None


class Reproduction(Fact):
    """Compare a logged answer with the one that the same version gives now."""

    request_id: str
    model: str
    version: int
    role: str
    is_equal: bool
    """To within 1e-9, relative or absolute."""
    logged: Output
    now: Output


def reproducible(logged: Logged, bundle: Bundle) -> Item:
    """Return the request to ask again.

    :raises NotReproducible: where it, or the version that answered it, is not what it was.
    """
    if logged.status is None:
        raise NotReproducible(logged, "it was never answered by this version")
    if logged.status != 200:
        raise NotReproducible(logged, f"it was answered with {logged.status} ({logged.error}), not with predictions")
    if logged.redacted:
        raise NotReproducible(logged, "the model declares pii columns, and those are not kept")
    if logged.item is None:
        raise NotReproducible(logged, "the log does not hold all of the request")
    if bundle.model_sha256 != logged.artefact_sha256:
        raise NotReproducible(
            logged,
            f"version {bundle.version} is registered with the digest {bundle.model_sha256[:12]}, and "
            f"{logged.artefact_sha256[:12]} answered",
        )
    return logged.item


async def reproduce(
    logged: Logged, bundle: Bundle, folder: Path, place: Place, *, memory: int, allow_pickle: bool
) -> Reproduction:
    """Score a logged request as serving does, in a process of its own.

    :param folder: the version's files; their digest is verified before they are read.
    :param place: where that is started; it is closed in the end.
    :param memory: the limit of that process in bytes.
    :raises NotReproducible: where the request or the version is not what it was.
    :raises WorkerRefused: where the version cannot be loaded.
    """
    item = reproducible(logged, bundle)
    try:
        worker = await place.spawn(
            WorkerStart(
                bundle=bundle,
                folder=str(folder),
                memory_bytes=memory,
                max_rows=MOST_ROWS,
                allow_pickle=allow_pickle,
            )
        )
        (answer,) = await worker.score([item])
        await worker.close()
    finally:
        await place.close()
    if answer.status != 200:
        raise NotReproducible(logged, f"the version now answers with {answer.status} ({answer.error})")
    now = Output.model_validate({name: orjson.loads(answer.output)[name] for name in Output.model_fields})
    before = Output(predictions=logged.predictions, probabilities=logged.probabilities)
    return Reproduction(
        request_id=logged.request_id,
        model=logged.model,
        version=logged.version,
        role=logged.role.value,
        is_equal=_same(before.predictions, now.predictions) and _same(before.probabilities, now.probabilities),
        logged=before,
        now=now,
    )


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_same, before, now))
    if isinstance(before, (int, float)) and isinstance(now, (int, float)):
        return math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(before == now)
