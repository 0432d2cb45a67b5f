"""What operators that watch live traffic have in common: they wait without a worker, and come back to judge."""

from abc import abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from understudy.contract.moment import moment_to_the_second
from understudy.contract.release import Deployment
from understudy.contract.run_time import SLACK
from understudy.contract.words import EntryKind
from understudy.hooks.connect import Hooks, connect
from understudy.operators.decisions import actor_of
from understudy.operators.handover import Guarded, Rehearsed
from understudy.operators.live.canary_trigger import CanaryTrigger
from understudy.operators.live.canary_watch import CanaryWatch
from understudy.operators.live.rehearsal_trigger import RehearsalTrigger
from understudy.operators.live.watch import Seen, Watch
from understudy.operators.problem import telling
from understudy.operators.run_context import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context


class WatchingOperator(BaseOperator):
    """Wait for a trigger and judge what it saw.

    :param model: the declared model.
    """

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model

    def execute(self, context: "Context") -> dict[str, Any]:
        """Begin to watch."""
        with telling(context):
            return self.handed_on(self.begin(context))

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Judge what was seen."""
        with telling(context):
            return self.handed_on(self.end(context, event))

    @abstractmethod
    def begin(self, context: "Context") -> Watch | CanaryWatch | Rehearsed | Guarded:
        """Say what to watch, or give the result where there is nothing to watch."""

    @abstractmethod
    def end(self, context: "Context", event: dict[str, Any]) -> CanaryWatch | Rehearsed | Guarded:
        """Record what was seen, act, and return the result, or what to watch next."""

    def handed_on(self, reached: Watch | CanaryWatch | Rehearsed | Guarded) -> dict[str, Any]:
        """Wait for what is to be watched, or give the result."""
        if isinstance(reached, (Watch, CanaryWatch)):
            self._wait(reached)
        return reached.model_dump(mode="json")

    def _wait(self, watch: Watch | CanaryWatch) -> NoReturn:
        self.log.info("watching %s until %s", watch.told, moment_to_the_second(watch.until))
        kind = RehearsalTrigger if isinstance(watch, Watch) else CanaryTrigger
        self.defer(
            trigger=kind(watch.model_dump(mode="json")),
            method_name="execute_complete",
            timeout=watch.left() + SLACK,
        )

    def record(
        self,
        context: "Context",
        kind: EntryKind,
        about: Rehearsed | Guarded,
        epoch: int,
        facts: "dict[str, Any] | None" = None,
    ) -> None:
        """Keep the evidence before anything is done about it."""
        judgement, run = about.judgement, run_folder(context, self.model).run
        digest = judgement.digest()
        connect().ledger.append_once(
            f"{self.model}/{run}/{kind}/{epoch}/{digest}",
            self.model,
            kind,
            actor_of(context),
            about.sentence,
            run,
            {
                "version": about.version,
                "verdict": judgement.verdict.value,
                "rubber_stamped": judgement.rubber_stamped,
                "judgement": judgement.model_dump(mode="json"),
                "judgement_sha256": digest,
                **(facts or {}),
            },
        )
        for answer in judgement.results:
            self.log.info("%s: %s (%s)", answer.gate, answer.verdict, answer.sentence)


def facts_of(seen: Seen) -> dict[str, Any]:
    """Give what the ledger keeps of a watch."""
    watch = seen.watch
    return {
        "champion_version": watch.champion,
        "mirror_version": watch.mirror,
        "since": watch.since.isoformat(),
        "ending": seen.ending.value,
        "problem": seen.problem,
        "gates": watch.gates.model_dump(mode="json"),
        "report": seen.report.model_dump(mode="json") if seen.report else None,
    }


def written_at(hooks: Hooks, model: str, epoch: int) -> datetime:
    """Say when a record was written."""
    return next(served.at for served in hooks.deployments.history(model) if served.deployment.epoch == epoch)


def has_champion(record: Deployment | None, version: int | None, since: int) -> bool:
    """Tell whether a version is the champion, without a break since that epoch."""
    return record is not None and (record.champion.version, record.champion_since) == (version, since)
