"""What a place that serves models has to offer: one of our gateways, or somebody else's service.

A team that serves elsewhere writes a class of :class:`ServingTarget` and names it as ``serving.target``.
"""

from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import Field, JsonValue, SecretStr

from understudy.contract.declared import Fact
from understudy.contract.release import Bundle
from understudy.contract.serving import (
    Acknowledgement,
    ModelStatus,
    PrepareOrder,
    RehearsalQuery,
    RehearsalReport,
    ServingOrder,
)
from understudy.contract.words import Capability


class Credentials(Fact):
    """Hold what an Airflow connection says of a service."""

    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: SecretStr | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict, repr=False)
    """The connection's extra fields, secrets among them."""


class TargetSetup(Fact):
    """Hold what a serving target is built from; its class takes this as its only argument."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """``serving.options`` of the declaration."""
    bundles: Path
    """Where verified copies of the versions lie."""
    credentials: Credentials | None = None
    """What the connection holds that ``serving.connection`` names."""

    def folder(self, bundle: Bundle) -> Path:
        """Say where a version's files lie: an MLflow model, verified before it is ordered."""
        return self.bundles / bundle.model / str(bundle.version)


class Answered(Fact):
    """Say which version answered a real request, under which record."""

    version: int
    epoch: int


class ServingTarget(Protocol):
    """Serve models at one place.

    Each method may be called again with the same arguments, by another process, after any crash. Each raises
    ``TargetUnreachable`` where the place does not answer within ``timeout_s`` seconds (it is asked again), and
    ``TargetRefused`` where it says no (it is not); what served then goes on serving. A record names the champion; the
    epoch of each is higher than that of the one before, and the place has to remember it with what it serves.
    """

    capabilities: ClassVar[frozenset[Capability]]
    """What it offers beyond serving; a declaration that asks for more is refused."""

    @property
    def name(self) -> str:
        """Name the place as messages do, for example by its address."""

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        """Load and try a version without serving it, as far as the place can; nothing answers differently yet.

        :raises TargetRefused: where the version cannot be served.
        """

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        """Serve the record's champion; return once all new answers are that version's, or are already.

        :raises TargetRefused: where the version cannot be served.
        :raises TargetIsAhead: where a newer epoch is served.
        """

    def status(self, model: str, timeout_s: float) -> ModelStatus:
        """Say what serves; epoch 0 and no version where nothing does."""

    def forget(self, model: str, timeout_s: float) -> None:
        """Serve a model no more, also after a restart; a model that is not served is forgotten already."""

    def probe(self, model: str, request: bytes | None, timeout_s: float) -> Answered:
        """Ask as a caller does and say who answered.

        :param request: a scoring request in MLflow's protocol; None where none is known, and any sign of life does.
        """


@runtime_checkable
class RehearsingTarget(ServingTarget, Protocol):
    """Serve models, mirror requests, and know how two versions did on them: :attr:`Capability.REHEARSAL`."""

    def rehearsal(self, model: str, query: RehearsalQuery, timeout_s: float) -> RehearsalReport:
        """Compare two versions on the requests that both answered."""


METHODS = ("prepare", "serve", "status", "probe", "forget")
"""What every target has."""
