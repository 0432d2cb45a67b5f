"""The lease of a canary: at a gateway that nobody reaches who could end it, it ends by itself."""

from pydantic import AwareDatetime

from understudy.contract.declared import Fact
from understudy.contract.moment import moment_to_the_second
from understudy.contract.release import Bundle


class CanaryLapse(Fact):
    """Say that a gateway gave a canary's callers back to the champion, because nobody could have told it to."""

    model: str
    gateway: str
    at: AwareDatetime
    epoch: int
    """The record that gave the canary its callers; in a newer one it may have some again."""
    champion: int
    canary: Bundle
    share: float
    lease_s: float

    @property
    def sentence(self) -> str:
        """Say it for the ledger and for everybody who asks the gateway."""
        return (
            f"for {self.lease_s:g} s neither a follower that reads the ledger nor an operator reached gateway "
            f"{self.gateway}, so nobody could have ended the canary there: since "
            f"{moment_to_the_second(self.at)} version {self.canary.version} answers no caller of "
            f"{self.model} there, and champion {self.champion} all of them"
        )
