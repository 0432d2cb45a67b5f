"""Break-glass: taking a version back at a gateway alone, whatever else is down, and telling the ledger later."""

from pydantic import AwareDatetime, Field

from understudy.contract.declared import Fact
from understudy.contract.moment import moment_to_the_second
from understudy.contract.release import Bundle

LONGEST_ACTOR = 200
LONGEST_REASON = 2_000


class BreakGlassOrder(Fact):
    """Order a gateway to go back to its warm previous champion: ``POST /admin/models/{model}/break-glass``.

    200 with a :class:`GlassAcknowledgement` once every new answer comes from that version and a restart keeps it;
    repeated, the same. 404 where nothing serves. 409 where another version answers than the one that is to be taken
    back. 422 where no previous champion is warm; 507 where the order cannot be persisted: what served goes on serving.
    """

    actor: str = Field(min_length=1, max_length=LONGEST_ACTOR)
    reason: str = Field(min_length=1, max_length=LONGEST_REASON, pattern=r"\S")
    version: int | None = Field(default=None, ge=1)
    """The version that is to be taken back; without it, whichever answers."""


class BrokenGlass(Fact):
    """Say that a person took a version back at one gateway, which the ledger does not know until it is reported."""

    model: str
    gateway: str
    at: AwareDatetime
    actor: str
    reason: str
    epoch: int
    """The epoch of the record that the gateway served."""
    taken_back: Bundle
    target: Bundle
    """What answers instead."""

    @property
    def sentence(self) -> str:
        """Say it for the ledger: the person's reason, and that it was done by break-glass, where and when."""
        at = moment_to_the_second(self.at)
        return f"{self.reason.strip()} (by break-glass at gateway {self.gateway}, {at}, over epoch {self.epoch})"

    @property
    def notice(self) -> str:
        """Say what has not been reported, to those who may know who did it."""
        return (
            f"version {self.taken_back.version} of {self.model} was taken back by break-glass ({self.actor}: "
            f"{self.reason.strip()}), which the ledger does not know yet"
        )


class GlassAcknowledgement(Fact):
    """Confirm that a version is taken back at a gateway."""

    glass: BrokenGlass
    is_repeated: bool
    """Whether it had been taken back before: then the first actor and reason stand."""
    flip_ms: float
    """From the order's arrival to the first moment when all new answers are the target's."""
