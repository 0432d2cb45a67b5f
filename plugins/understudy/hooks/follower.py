"""Keep one gateway at the truth: whatever the ledger says serves, the gateway beside this process serves."""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple

from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import Lagging, ServingOrder, ServingTerms, TruthReport, Unreported
from understudy.hooks.break_glass import record_break_glass, spread
from understudy.hooks.canary_lapse import record_lapse
from understudy.hooks.connect import Hooks
from understudy.hooks.declarations import Declarations
from understudy.hooks.places.gateways import Gateways

log = logging.getLogger(__name__)

ORDER_S = 10.0
"""How long to wait for one order; a version that takes longer to load is asked for again in the next step."""
LOOK_AGAIN_S = 10.0
"""A gateway that was found at the truth is believed for so long; it may have been started anew since."""
ASK_S = 5.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""A version that does not load is not tried again every second: each try costs the machine a process."""


class _Found(NamedTuple):
    """Remember what the gateway was last seen to serve."""

    record: Deployment
    terms: ServingTerms
    at: float


class _Failed(NamedTuple):
    """Remember what the gateway could not be brought to, and when to try again."""

    record: Deployment
    terms: ServingTerms
    problem: str
    pause_s: float
    again_at: float


@dataclass
class Follower:
    """Follow the ledger for one gateway. It waits for nobody: operators send the same orders and wait for the answers.

    :param gateways: this machine's gateway, and no other.
    :param specs: the declarations, for the terms of each model.
    """

    hooks: Hooks
    gateways: Gateways
    specs: Declarations
    _found: dict[str, _Found] = field(default_factory=dict)
    _failed: dict[str, _Failed] = field(default_factory=dict)
    _unreported: Unreported = field(default_factory=Unreported)
    """What the gateway did alone and is not in the ledger yet."""
    _told: str | None = None

    @classmethod
    def beside(cls, hooks: Hooks, url: str) -> "Follower":
        """Follow for the gateway at an address, with this deployment's token, files and declarations."""
        settings = hooks.settings
        gateways = Gateways((url,), settings.gateway_secret, settings.home / "bundles")
        return cls(hooks, gateways, Declarations(settings.models_dir))

    def step(self) -> TruthReport:
        """Bring the gateway to the truth once, tell it how that went, and return the same; never raise."""
        problems = self._report_broken_glass()
        problems += self._report_lapses()
        records, unreadable = self._read_ledger()
        problems += [unreadable] if unreadable else self._follow_all(records)
        canaries = {record.model: record.epoch for record in records if record.canary is not None}
        report = TruthReport(at=datetime.now(timezone.utc), problem=_in_a_sentence(problems), canaries=canaries)
        try:
            self._unreported = self.gateways.tell(report)
        except UnderstudyError as unreachable:
            self._found.clear()
            report = report.model_copy(update={"problem": report.problem or str(unreachable)})
        if report.problem != self._told:
            log.warning("%s", report.problem or "the gateway serves what the ledger says again")
            self._told = report.problem
        return report

    def run_forever(self, stop: threading.Event, interval_s: float = 1.0) -> None:
        """Step until ``stop`` is set."""
        while not stop.is_set():
            self.step()
            stop.wait(interval_s)

    def _report_broken_glass(self) -> list[str]:
        problems: list[str] = []
        for glass in self._unreported.broken:
            try:
                self._spread(record_break_glass(self.hooks.deployments, glass))
                # Last: whatever was interrupted before is done again, and each part of it only once.
                self.gateways.reported(glass)
            except UnderstudyError as unreported:
                taken_back = f"version {glass.taken_back.version} of {glass.model} was taken back by break-glass"
                problems.append(f"{taken_back}, and that cannot be reported yet: {unreported}")
        return problems

    def _report_lapses(self) -> list[str]:
        problems: list[str] = []
        for lapse in self._unreported.lapsed:
            try:
                self._spread(record_lapse(self.hooks.deployments, lapse))
                self.gateways.lapse_reported(lapse)
            except UnderstudyError as unreported:
                problems.append(f"{lapse.sentence}; that cannot be reported yet: {unreported}")
        return problems

    def _spread(self, record: Deployment | None) -> None:
        if record is not None:
            terms, _ = self.specs.terms(record.model)
            spread(self.hooks.deployments, self.hooks.registry, record, self.hooks.gateways, terms)

    def _read_ledger(self) -> tuple[list[Deployment], str | None]:
        try:
            return self.hooks.deployments.all_current(), None
        except UnderstudyError as unreadable:
            return [], str(unreadable)

    def _follow_all(self, records: list[Deployment]) -> list[str]:
        problems: list[str] = []
        for record in records:
            terms, problem = self.specs.terms(record.model)
            problems += [problem] if problem else []
            told = self._follow(record, terms) if terms is not None else None
            problems += [told] if told else []
        return problems

    def _follow(self, record: Deployment, terms: ServingTerms) -> str | None:
        """Bring the gateway to one record; return why that is impossible now."""
        found, failed = self._found.get(record.model), self._failed.get(record.model)
        is_known = found is not None and (found.record, found.terms) == (record, terms)
        if is_known and found is not None and time.monotonic() - found.at < LOOK_AGAIN_S:
            return None
        if failed is not None and (failed.record, failed.terms) != (record, terms):
            failed = None
        if failed is not None and time.monotonic() < failed.again_at:
            return failed.problem
        (status,) = self.gateways.status(record.model, ASK_S)
        if isinstance(status, Lagging):
            return status.problem
        # The first look sends the order too: a gateway's epoch does not tell whether it has these terms.
        problem = self._send(record, terms) if not is_known or status.epoch < record.epoch else None
        if problem is not None:
            pause_s = FIRST_PAUSE_S if failed is None else min(failed.pause_s * 2, LONGEST_PAUSE_S)
            self._failed[record.model] = _Failed(record, terms, problem, pause_s, time.monotonic() + pause_s)
            return problem
        self._failed.pop(record.model, None)
        self._found[record.model] = _Found(record, terms, time.monotonic())
        return None

    def _send(self, record: Deployment, terms: ServingTerms) -> str | None:
        missing = self._missing(record.champion)
        if missing:
            return f"{record.model} cannot follow: {missing}"
        for bundle in (record.previous, record.mirror, record.canary):
            absent = self._missing(bundle) if bundle is not None else None
            if absent:
                log.warning("%s: a version beside the champion is not at hand: %s", record.model, absent)
        confirmation = self.gateways.apply(ServingOrder(record=record, terms=terms), ORDER_S)
        if confirmation.lagging:
            return f"{record.model}, epoch {record.epoch}: {confirmation.lagging[0].problem}"
        log.info("%s: version %s, epoch %s", record.model, record.champion.version, record.epoch)
        return None

    def _missing(self, bundle: Bundle) -> str | None:
        """Bring a verified copy of a version here; return why that is impossible."""
        try:
            self.hooks.registry.keep(bundle)
        except (UnderstudyError, OSError) as absent:
            return str(absent)
        return None


def _in_a_sentence(problems: list[str]) -> str | None:
    if not problems:
        return None
    rest = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
    return f"{problems[0]}{rest}"
