"""What was taken back at this gateway by break-glass: it answers nobody until newer records have left it behind."""

import logging

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass
from understudy.contract.declared import Fact
from understudy.contract.release import Deployment
from understudy.contract.words import Change
from understudy.gateway.errors import GlassUnreadable, RecordUnreadable, TakenBack
from understudy.gateway.record_store import RecordStore

LOG = logging.getLogger(__name__)


class KeptGlass(Fact):
    """Hold one break-glass and whether the ledger knows of it."""

    glass: BrokenGlass
    is_reported: bool = False


class KeptGlasses(Fact):
    """Hold all of a model, oldest first."""

    kept: tuple[KeptGlass, ...]


class Glasses:
    """Remember, also over a restart, what was taken back of one model, and hold each record against it.

    A file that cannot be read might hold the name of the version that a record wants to answer, so no record is served
    until somebody has looked at it.
    """

    def __init__(self, model: str, store: RecordStore[KeptGlasses]) -> None:
        self._model, self._store = model, store
        self._kept: tuple[KeptGlass, ...] = ()
        self.unreadable: GlassUnreadable | None = None
        try:
            found = store.read(model)
        except RecordUnreadable as broken:
            self.unreadable = GlassUnreadable(str(broken))
        else:
            self._kept = () if found is None else found.kept

    @property
    def unreported(self) -> BrokenGlass | None:
        """Give the oldest that the ledger does not know of: they are told in their order."""
        return next((kept.glass for kept in self._kept if not kept.is_reported), None)

    def refuse(self, record: Deployment) -> None:
        """Raise TakenBack for a record whose champion was taken back, GlassUnreadable where nobody can tell."""
        if self.unreadable is not None:
            raise self.unreadable
        glass = self._of(record.champion.model_sha256)
        if glass is not None:
            raise TakenBack(glass)

    def in_force(self, record: Deployment) -> Deployment:
        """Give a record as it takes effect here: what was taken back neither answers nor stands by."""
        glass = self._of(record.champion.model_sha256)
        if glass is not None:
            # Built anew, so that nothing that the record has beside its champion survives.
            return Deployment(
                model=record.model, epoch=record.epoch, change=Change.ROLLBACK, champion=glass.target, previous=None
            )
        if record.previous is not None and self._of(record.previous.model_sha256) is not None:
            record = record.model_copy(update={"previous": None})
        if record.canary is not None and self._of(record.canary.model_sha256) is not None:
            record = record.without_canary()
        return record

    def known(self, order: BreakGlassOrder, record: Deployment) -> BrokenGlass | None:
        """Find what did already as an order says."""
        glass = self._of(record.champion.model_sha256)
        if glass is not None and order.version in {None, glass.taken_back.version}:
            return glass
        done = (kept.glass for kept in reversed(self._kept) if kept.glass.taken_back.version == order.version)
        return next(done, None)

    def add(self, glass: BrokenGlass) -> None:
        """Remember one more; block until it is on disk. Raise OSError if it cannot be."""
        self._save((*self._kept, KeptGlass(glass=glass)))

    def reported(self, glass: BrokenGlass, record: Deployment | None) -> None:
        """Remember that the ledger knows of one; repeating that is harmless. Raise OSError."""
        told = tuple(
            KeptGlass(glass=kept.glass, is_reported=kept.is_reported or kept.glass == glass) for kept in self._kept
        )
        if told != self._kept:
            self._save(told)
        if record is not None:
            self.settle(record)

    def settle(self, record: Deployment) -> None:
        """Forget what the ledger knows and the record no longer names: from here on, the ledger's denial holds."""
        named = {bundle.model_sha256 for bundle in (record.champion, record.previous) if bundle is not None}
        left = tuple(kept for kept in self._kept if not kept.is_reported or kept.glass.taken_back.model_sha256 in named)
        if left == self._kept:
            return
        try:
            self._save(left)
        except OSError as failed:  # what is kept too long holds back only what is denied anyway
            LOG.warning("%s: a break-glass that is over could not be forgotten: %s", self._model, failed)

    def drop(self) -> None:
        """Forget all. Raise OSError."""
        self._store.drop(self._model)
        self._kept, self.unreadable = (), None

    def _of(self, sha256: str) -> BrokenGlass | None:
        return next((kept.glass for kept in reversed(self._kept) if kept.glass.taken_back.model_sha256 == sha256), None)

    def _save(self, kept: tuple[KeptGlass, ...]) -> None:
        if kept:
            self._store.save(self._model, KeptGlasses(kept=kept))
        else:
            self._store.drop(self._model)
        self._kept = kept
