"""Who was champion in turn, and who could be again: a model's records read as history."""

from datetime import datetime

from understudy.contract.declared import Fact
from understudy.contract.moment import moment
from understudy.contract.release import Bundle
from understudy.contract.words import Change
from understudy.hooks.deployments import Served


class Reign(Fact):
    """Say that a version was champion, since when, by whose decision, and whether that was ever confirmed."""

    champion: Bundle
    epoch: int
    """The first of its records; rehearsals beside the champion write further ones."""
    at: datetime
    actor: str
    reason: str
    run: str | None
    is_confirmed: bool

    @property
    def sentence(self) -> str:
        """Say of the newest reign who made its version champion, when and why."""
        since = moment(self.at)
        return f"version {self.champion.version} serves now, since {since} by {self.actor} ({self.reason})"


def reigns(history: list[Served]) -> list[Reign]:
    """Tell who was champion, oldest first: records that only started or ended a mirror belong to their champion's."""
    told: dict[int, Reign] = {}
    for served in history:
        record = served.deployment
        known = told.get(record.champion_since)
        told[record.champion_since] = Reign(
            champion=record.champion,
            epoch=record.champion_since,
            at=known.at if known else served.at,
            actor=known.actor if known else served.actor,
            reason=known.reason if known else served.reason,
            run=known.run if known else served.run,
            # Gateways that acknowledge a record beside the champion serve the champion.
            is_confirmed=served.is_confirmed or (known is not None and known.is_confirmed),
        )
    return list(told.values())


def rollback_after(epoch: int, history: list[Served]) -> Served | None:
    """Give the rollback that ended the reign of an epoch; None where it lasts or ended otherwise."""
    moves = (told for told in history if told.deployment.epoch > epoch and told.deployment.change.moves_champion)
    end = next(moves, None)
    return end if end is not None and end.deployment.change is Change.ROLLBACK else None


def fit_instead(champion: Bundle, history: list[Served], denied: dict[str, str]) -> list[Bundle]:
    """List the bundles that could serve instead of ``champion``, the last one that served first.

    Each was champion, was confirmed, is not denied, and differs in content: the same files under another version number
    would bring the same harm. A mirror answered nobody, so it never counts.
    """
    fit: dict[int, Bundle] = {}
    for served in reversed(history):
        bundle = served.deployment.champion
        if served.is_confirmed and bundle.model_sha256 not in denied and bundle.model_sha256 != champion.model_sha256:
            fit.setdefault(bundle.version, bundle)
    return list(fit.values())
