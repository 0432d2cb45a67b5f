"""Take back a champion whose late labels show, within its probation, that it has lost its quality."""

from logging import Logger
from typing import Any

from understudy.contract.by import By
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.monitoring import Decision, MonitorReport
from understudy.contract.release import Deployment
from understudy.contract.retrainings import Recorded
from understudy.contract.words import Verdict
from understudy.hooks.connect import Hooks
from understudy.hooks.errors import Refused
from understudy.hooks.places.gateway_errors import GatewayLagging
from understudy.hooks.rollback import REASON_LIMIT, rollback

MONITOR = "monitor"
"""Who takes a champion back: no person decided."""


def is_lost(decision: Decision) -> bool:
    """Tell whether labels show that the champion answers worse than it was blessed for."""
    results = decision.judgement.results
    return any(answer.gate.startswith("quality.") and answer.verdict is Verdict.FAILED for answer in results)


def is_in_probation(spec: ModelSpec, current: Deployment, report: MonitorReport) -> bool:
    """Tell whether the champion is in the probation of its ``guard`` section, and another one could serve.

    Labels come late, so a probation may end before they do; only a look from within it takes back. One that pretends
    a time before the champion served never does.
    """
    if spec.guard is None or current.previous is None:
        return False
    return report.champion_since <= report.as_of <= report.champion_since + spec.guard.probation


def lost_within_probation(seq: int, sentence: str) -> str:
    """Give the reason of a rollback that a look asks for."""
    return f"lost its quality within its probation (ledger entry {seq}): {sentence}"[:REASON_LIMIT]


def take_back(hooks: Hooks, model: str, recorded: Recorded, run: str, log: "Logger | Any") -> int | None:
    """Roll back what the look was about, and nothing else; return which version serves again.

    A rollback that is refused leaves the champion, and the request for a retraining still goes out.
    """
    sentence = recorded.look.decision.sentence
    places, terms = hooks.served_now(model)
    try:
        record = rollback(
            hooks.deployments,
            hooks.registry,
            model,
            by=By(actor=MONITOR, reason=lost_within_probation(recorded.seq, sentence), run=run),
            only_since=recorded.look.champion_since,
            gateways=places,
            terms=terms,
        )
    except GatewayLagging as lagging:
        log.error("%s", lagging)
        return lagging.version
    except Refused as refused:
        log.error("%s was not taken back: %s", model, refused)
        return None
    log.error("version %s serves %s again: %s", record.champion.version, model, sentence)
    return record.champion.version
