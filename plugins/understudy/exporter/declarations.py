"""What the declarations say, read again where a file has changed: a thousand take seconds, so beside scrapes."""

import logging
import threading
from pathlib import Path

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.contract.load import declared, read_model
from understudy.contract.run_time import longest_run
from understudy.exporter.looks_due import longest_gap_s

LOG = logging.getLogger(__name__)


class Terms(Fact):
    """Hold what a declaration promises; nothing but ``is_broken`` of one that cannot be used."""

    is_broken: bool = False
    owner: str = ""
    look_interval_s: float | None = None
    max_age_s: float | None = None
    timeout_s: float | None = None


class Declarations:
    """Know the terms of every declared model as of the last reading.

    :param every_s: how often the folder is looked through.
    """

    def __init__(self, folder: Path, every_s: float) -> None:
        self._folder, self._every_s = folder, every_s
        self._known: dict[Path, tuple[tuple[int, int], Terms]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="declarations", daemon=True)
        self.terms: dict[str, Terms] = {}

    def start(self) -> None:
        """Begin with a reading at once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end."""
        self._stop.set()

    def read(self) -> None:
        """Read what has changed."""
        found: dict[Path, tuple[tuple[int, int], Terms]] = {}
        for path in declared(self._folder):
            try:
                stat = path.stat() if path.exists() else path.lstat()  # a link to nowhere is there, too
            except OSError:  # removed just now
                continue
            stamp, known = (stat.st_mtime_ns, stat.st_size), self._known.get(path)
            found[path] = known if known is not None and known[0] == stamp else (stamp, _terms_in(path))
        self._known = found
        self.terms = {path.parent.name: terms for path, (_, terms) in found.items()}

    def _run(self) -> None:
        self.read()
        while not self._stop.wait(self._every_s):
            self.read()


def _terms_in(path: Path) -> Terms:
    try:
        # A serving target of the model's own need not be installed here.
        spec = read_model(path.parent.parent, path.parent.name)
    except UnderstudyError as broken:
        LOG.warning("%s", broken)
        return Terms(is_broken=True)
    max_age = spec.retrain.max_age
    return Terms(
        owner=spec.owner,
        look_interval_s=longest_gap_s(spec.monitor.schedule) if spec.monitor else None,
        max_age_s=max_age.total_seconds() if max_age else None,
        timeout_s=longest_run(spec).total_seconds(),
    )
