"""Where a version's scoring process is started: forked here, or in a container of the image that it was trained in."""

import asyncio
import sys
from pathlib import Path
from typing import Protocol

from understudy.contract.release import Bundle
from understudy.gateway.config import ScoringIsolation
from understudy.gateway.container_engine import ContainerEngine
from understudy.gateway.containers import Containers
from understudy.gateway.nursery import Nursery
from understudy.gateway.worker import Worker, WorkerRefused, WorkerStart
from understudy.signatures import SignatureInvalid, Signatures

HAS_OLDER_LIBRARIES = sys.version_info < (3, 11)
"""Whether this Python can only have older releases than those in the stage image (see requirements.txt)."""


class Place(Protocol):
    """Start scoring processes."""

    async def open(self) -> None:
        """Get ready to start some."""
        ...

    async def spawn(self, start: WorkerStart) -> Worker:
        """Start one and wait until it is ready; raise WorkerRefused."""
        ...

    async def close(self) -> None:
        """Start no more."""
        ...


class Places:
    """Start each version where its libraries are, and none that has not the signature that is asked for."""

    def __init__(
        self, isolation: ScoringIsolation, processes: Place, containers: Place, signatures: Signatures
    ) -> None:
        self._isolation, self._processes, self._containers = isolation, processes, containers
        self._signatures = signatures

    async def open(self) -> None:
        """Get both ready."""
        if self._isolation == "process":
            await self._processes.open()
        else:
            await asyncio.gather(self._processes.open(), self._containers.open())

    async def spawn(self, start: WorkerStart) -> Worker:
        """Start a version in its place; raise WorkerRefused."""
        try:
            self._signatures.require(start.bundle)
        except SignatureInvalid as invalid:
            raise WorkerRefused(start.bundle, f"{invalid.problem}.") from invalid
        place = self._containers if is_contained(start.bundle, self._isolation) else self._processes
        return await place.spawn(start)

    async def close(self) -> None:
        """Close both."""
        await asyncio.gather(self._processes.close(), self._containers.close())


def is_contained(bundle: Bundle, isolation: ScoringIsolation) -> bool:
    """Tell whether a version is scored in a container: with ``auto``, one that may need other libraries than ours.

    Those are in an image that its declaration names, and in each image where our Python has older ones. What no image
    trained, but an installation as a process, can only be scored by such a process.
    """
    if isolation == "process" or not bundle.is_of_an_image:
        return False
    return isolation == "docker" or bool(bundle.own_image) or HAS_OLDER_LIBRARIES


def places(isolation: ScoringIsolation, verify_keys: tuple[Path, ...], gateway: str) -> Places:
    """Give both places; ``gateway`` names whose containers they are.

    :raises UnderstudyError: where a key cannot be used.
    """
    return Places(isolation, Nursery(), Containers(ContainerEngine(gateway)), Signatures.by(verify_keys))
