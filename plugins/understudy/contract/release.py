"""What is released: a bundle, the deployment record that says it serves, and the ledger's entries."""

from datetime import datetime
from typing import Any

from pydantic import Field, JsonValue, model_validator

from understudy.contract.canary_split import baseline_share
from understudy.contract.declared import Fact, sha256_of
from understudy.contract.words import Change, EntryKind

GENESIS = "0" * 64
INSTALLATION = "process:"
"""Begins the digest of what is no image: the installation whose stages run as processes."""


class Bundle(Fact):
    """Name everything that moves forward and back together."""

    model: str
    version: int = Field(ge=1)
    model_sha256: str
    image_digest: str
    code_commit: str
    spec_sha256: str
    data_version: str
    run: str
    decision_threshold: float | None = None
    reference_data: str
    """The data version that drift is measured against while this bundle serves: its training window."""
    own_image: str = ""
    """The name of the image that the declaration asks for; empty where the deployment's own image trained it, whose
    libraries every gateway has."""
    signature: str = ""
    """An OpenSSF model signature over its files, in JSON; empty where the deployment signs nothing."""

    @property
    def is_of_an_image(self) -> bool:
        """Tell whether it was trained in a container."""
        return bool(self.image_digest) and not self.image_digest.startswith(INSTALLATION)

    def answers_as(self, other: "Bundle") -> bool:
        """Tell whether no caller could tell it from another one: the same files, libraries and threshold."""
        mine, theirs = (
            (one.model_sha256, one.image_digest, one.own_image, one.decision_threshold) for one in (self, other)
        )
        return mine == theirs


class Blessing(Fact):
    """Record that a version passed every gate: against whom, on what, by which ledger entry."""

    challenger: Bundle
    champion_version: int | None
    champion_epoch: int
    """Since which epoch the champion served that the challenger was judged against; another makes it stale."""
    judgement_sha256: str
    rubber_stamped: bool

    def is_stale(self, serving: "Deployment | None") -> bool:
        """Tell whether another champion serves than the one that the challenger was judged against."""
        # Rehearsals write records too; what matters is since when this champion has served.
        since = serving.champion_since if serving else 0
        champion = serving.champion.version if serving else None
        return (since, champion) != (self.champion_epoch, self.champion_version)


class Deployment(Fact):
    """Say what serves. Epoch n+1 is written only over epoch n."""

    model: str
    epoch: int = Field(ge=1)
    change: Change
    champion: Bundle
    previous: Bundle | None
    """The last confirmed champion before this one: the target of a rollback."""
    blessing: Blessing | None = None
    champion_since: int = Field(default=0, ge=0)
    """The epoch at which this champion began to serve; a change beside the champion leaves it as it is."""
    mirror: Bundle | None = None
    """A version that answers the same requests unseen: a challenger in rehearsal, or the one before in probation."""
    mirror_share: float = Field(default=0.0, ge=0, le=1)
    """The share of requests that is mirrored."""
    canary: Bundle | None = None
    """A challenger that answers a share of the callers; never beside a mirror."""
    canary_share: float = Field(default=0.0, ge=0, le=1)
    """The share of keys that the canary answers."""

    @property
    def baseline_share(self) -> float:
        """Give the share of keys that a fresh copy of the champion answers; with 0, no such copy runs."""
        return baseline_share(self.canary_share)

    def without_canary(self) -> "Deployment":
        """Give the same with all callers at the champion."""
        return self.model_copy(update={"canary": None, "canary_share": 0.0})

    @model_validator(mode="before")
    @classmethod
    def _a_new_champion_begins_now(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("champion_since"):
            return {**given, "champion_since": given.get("epoch", 0)}
        return given

    @model_validator(mode="after")
    def _one_at_a_time(self) -> "Deployment":
        if self.mirror is not None and self.canary is not None:
            raise ValueError("a record names a mirror or a canary, not both")
        if (self.canary is not None) != (self.canary_share > 0):
            raise ValueError("a canary and its share go together")
        return self


class LedgerEntry(Fact):
    """Record one decision: who, why, and the numbers that made it. ``hash`` chains the entries."""

    seq: int = Field(ge=1)
    at: datetime
    model: str
    kind: EntryKind
    actor: str
    reason: str
    run: str | None
    facts: dict[str, JsonValue]
    once_key: str | None = None
    """What a retried task would write again under; the ledger holds each key once."""
    prev_hash: str
    hash: str

    @property
    def deployment(self) -> Deployment:
        """Read the deployment record; only entries of the kind ``deployed`` are one."""
        return Deployment.model_validate(self.facts["deployment"])

    def expected_hash(self) -> str:
        """Digest the entry's content and its predecessor's hash."""
        return sha256_of(self.model_dump(mode="json", exclude={"hash"}))
