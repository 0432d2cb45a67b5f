"""One exception for each way the outside world can fail us."""

from collections.abc import Sequence
from datetime import datetime

from understudy.contract.errors import UnderstudyError
from understudy.contract.moment import moment
from understudy.contract.reason import is_seen
from understudy.contract.release import Blessing, Deployment


class Refused(UnderstudyError):
    """The record of what serves says no: asking again gives the same answer, and nothing was changed."""


class LedgerUnavailable(UnderstudyError):
    """The ledger can be neither read nor written, so nothing may change."""

    def __init__(self, url: str, cause: str, way_out: str) -> None:
        self.url, self.cause, self.way_out = url, cause, way_out
        super().__init__(f"The ledger {url} {cause}; nothing was changed. {way_out}")


class LedgerDamaged(UnderstudyError):
    """A ledger entry cannot be what was written, so nothing that rests on it may serve."""

    def __init__(self, seq: int, problem: str) -> None:
        self.seq, self.problem = seq, problem
        super().__init__(
            f"Ledger entry {seq} {problem}. Run `understudy ledger --verify`, then restore the ledger "
            f"from its last backup."
        )


class EpochConflict(Refused):
    """Somebody else wrote the deployment record first."""

    def __init__(
        self, model: str, expected: int, found: int, told: str = "somebody else promoted or rolled back in between"
    ) -> None:
        self.model, self.expected, self.found = model, expected, found
        super().__init__(
            f"The deployment record of {model} is at epoch {found}, not {expected}: {told}. "
            f"Look at `understudy status {model}` and decide again."
        )


class StaleBlessing(Refused):
    """The challenger was judged against another champion than the one that serves now."""

    def __init__(self, blessing: Blessing, serving: Deployment | None) -> None:
        self.blessing, self.serving = blessing, serving
        model, version = blessing.challenger.model, blessing.challenger.version
        judged = f"version {blessing.champion_version} (epoch {blessing.champion_epoch})"
        now = f"version {serving.champion.version} (epoch {serving.champion_since})" if serving else "none"
        super().__init__(
            f"Version {version} of {model} was judged against "
            f"{judged if blessing.champion_epoch else 'no champion'}, but {now} serves now, so its "
            f"blessing is stale. Run the retraining again."
        )


class UnknownBlessing(Refused):
    """A promotion was asked for without a recorded yes."""

    def __init__(self, model: str, version: int, judgement_sha256: str) -> None:
        self.model, self.version, self.judgement_sha256 = model, version, judgement_sha256
        super().__init__(
            f"The ledger holds no blessing of version {version} of {model} with judgement "
            f"{judgement_sha256[:12]}, so it cannot be promoted. Let it pass its gates in a retraining."
        )


class DigestDenied(Refused):
    """The artefact was rolled back before and must not serve again."""

    def __init__(self, model: str, version: int, digest: str, reason: str) -> None:
        self.model, self.version, self.digest, self.reason = model, version, digest, reason
        super().__init__(
            f"Version {version} of {model} has the denied digest {digest[:12]} ({reason}). Train another one."
        )


class ChampionLocked(Refused):
    """The champion was locked by a person and cannot be replaced."""

    def __init__(self, model: str, version: int, reason: str) -> None:
        self.model, self.version, self.reason = model, version, reason
        super().__init__(f"Version {version} of {model} is locked as champion ({reason}). Unlock it first.")


class ModelHeld(Refused):
    """A person keeps the model from being promoted."""

    def __init__(self, model: str, actor: str, since: datetime, reason: str) -> None:
        self.model, self.actor, self.since, self.reason = model, actor, since, reason
        super().__init__(
            f"{model} is held by {actor} since {moment(since)} ({reason}), so no challenger is promoted. "
            f"Release it first."
        )


class HeldAlready(Refused):
    """Somebody holds the model already."""

    def __init__(self, model: str, actor: str, since: datetime, reason: str) -> None:
        super().__init__(f"{model} is held already, by {actor} since {moment(since)} ({reason}). Nothing was changed.")


class NotHeld(Refused):
    """Nobody holds the model."""

    def __init__(self, model: str) -> None:
        super().__init__(f"Nobody holds {model}, so there is nothing to release.")


class LockedAlready(Refused):
    """The version is locked already."""

    def __init__(self, model: str, version: int, reason: str) -> None:
        super().__init__(f"Version {version} of {model} is locked already ({reason}). Nothing was changed.")


class NotLocked(Refused):
    """The version is not locked."""

    def __init__(self, model: str, version: int, locked: Sequence[int]) -> None:
        listing = ", ".join(map(str, locked)) or "none"
        super().__init__(f"Version {version} of {model} is not locked. Locked versions: {listing}.")


class NothingTried(Refused):
    """No version is tried beside the champion."""

    def __init__(self, model: str) -> None:
        super().__init__(f"Nothing is tried beside the champion of {model}, so there is nothing to stop.")


class NothingServes(Refused):
    """The model has no champion yet."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(f"No version of {model} serves yet. Run its retraining (`understudy retrain {model}`) first.")


class NothingToRollBackTo(Refused):
    """No version that served before can serve again."""

    def __init__(self, model: str, problem: str, left: Sequence[int] = ()) -> None:
        self.model, self.problem, self.left = model, problem, tuple(left)
        listing = ", ".join(map(str, self.left))
        way_out = (
            f"Intact versions that served before: {listing}; name one of them as the target."
            if self.left
            else "No other version that served before is intact; retrain instead."
        )
        super().__init__(f"Cannot roll back {model}: {problem}. {way_out}")


class UnfitTarget(Refused):
    """The version that was named cannot be rolled back to."""

    def __init__(self, model: str, version: int, problem: str, fit: Sequence[int]) -> None:
        self.model, self.version, self.problem, self.fit = model, version, problem, tuple(fit)
        listing = ", ".join(map(str, self.fit)) or "none"
        super().__init__(
            f"Cannot roll back {model} to version {version}: {problem}. Versions to choose from: {listing}."
        )


class NothingToRehearse(Refused):
    """A version cannot be rehearsed beside its own files."""

    def __init__(self, model: str, version: int, champion: int) -> None:
        self.model, self.version, self.champion = model, version, champion
        super().__init__(
            f"Version {version} of {model} has the files of version {champion}, which serves, so there is nothing to "
            "rehearse. "
            f"Look at `understudy status {model}`."
        )


class ReasonMissing(Refused):
    """A person's act has no usable reason."""

    def __init__(self, act: str, reason: str, limit: int) -> None:
        self.act, self.length, self.limit = act, len(reason.strip()), limit
        problem = f"has {self.length:,} characters" if is_seen(reason) else "has none that can be seen"
        super().__init__(
            f"A {act} needs a reason of 1 to {limit:,} characters; this one {problem}. Say in a sentence why."
        )
