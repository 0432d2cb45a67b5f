"""Who answers which caller while a challenger is tried on some of them: by a hash of the caller's key."""

from hashlib import blake2b
from typing import NamedTuple

from understudy.contract.words import Role

_DIGEST_BYTES = 8
_WHOLE = 1 << (8 * _DIGEST_BYTES)


def baseline_share(share: float) -> float:
    """Give the share of keys that a fresh copy of the champion answers: as many as the canary, or what is left."""
    return min(share, 1.0 - share)


class Assigned(NamedTuple):
    """Say who answers a key, and under which name the log knows it."""

    role: Role
    unit: str
    """The key's digest; the key itself may be personal."""


class CanarySplit:
    """Assign keys to a canary, to its baseline, or to the champion.

    A key's place between 0 and 1 depends on the key, the model and the challenger's version alone, so all gateways
    agree on it, it outlives restarts, models do not share unlucky keys, and it is not always the same callers who meet
    a new version first. The canary has the places from 0 upwards and its baseline those from 1 downwards: a larger
    share keeps every key that a smaller one had.
    """

    def __init__(self, model: str, version: int, share: float) -> None:
        self._salted = blake2b(f"{model}/{version}/".encode(), digest_size=_DIGEST_BYTES, person=b"understudycanary")
        # Whole numbers: a place just below 1 would be rounded to 1.
        self._canary_below = round(share * _WHOLE)
        self._baseline_from = _WHOLE - round(baseline_share(share) * _WHOLE)

    def assign(self, key: str) -> Assigned:
        """Say who answers a key; the same key always gets the same answer."""
        digest = self._salted.copy()
        digest.update(key.encode("utf-8", "surrogatepass"))
        place = int.from_bytes(digest.digest(), "big")
        if place < self._canary_below:
            return Assigned(Role.CANARY, digest.hexdigest())
        role = Role.BASELINE if place >= self._baseline_from else Role.CHAMPION
        return Assigned(role, digest.hexdigest())
