"""Whether the whole ledger still is what was written: read now and then beside everything else, as it takes long."""

import logging
import threading
from datetime import datetime, timezone

from understudy.contract.errors import UnderstudyError
from understudy.hooks.ledger.chain import ChainCheck
from understudy.hooks.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)


class ChainWatch:
    """Verify the chain at intervals in a thread, and remember what was found."""

    def __init__(self, ledger: Ledger, every_s: float) -> None:
        self._ledger, self._every_s = ledger, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chain", daemon=True)
        self.check: ChainCheck | None = None
        self.at: datetime | None = None

    def start(self) -> None:
        """Begin with a check at once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end; a check under way ends with the process."""
        self._stop.set()

    def verify(self) -> None:
        """Read everything once; a ledger that does not answer leaves what was known."""
        try:
            check = self._ledger.verify()
        except UnderstudyError as unreachable:
            LOG.warning("The ledger was not verified: %s", unreachable)
            return
        if not check.ok:
            LOG.error("%s", check.sentence)
        self.check, self.at = check, datetime.now(timezone.utc)

    def _run(self) -> None:
        self.verify()
        while not self._stop.wait(self._every_s):
            self.verify()
