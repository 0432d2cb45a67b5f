"""Decide what a look means: record it, take a failing new champion back, ask for a retraining where one is due."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, BaseOperator, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from understudy.contract.cause import Ask, retrain_uri
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judges.monitoring import judge_monitoring
from understudy.contract.load import load_model
from understudy.contract.monitoring import DriftReport, MonitorReport, QualityReport
from understudy.contract.release import Deployment
from understudy.contract.retrainings import Look, Recorded, Retrainings, blind_in_a_row, trimmed
from understudy.contract.run_time import longest_run
from understudy.contract.stage import Artefact
from understudy.contract.words import Trigger
from understudy.hooks.connect import connect
from understudy.hooks.looks import record_look
from understudy.operators.alerting import tell_now
from understudy.operators.decisions import PROBLEM_KEY, REFUSAL_KEY, actor_of, param
from understudy.operators.errors import LooksInconclusive
from understudy.operators.handover import Collected, Looked, Measured
from understudy.operators.live.watching import written_at
from understudy.operators.look.collect import monitored, trained_until
from understudy.operators.look.report import publish
from understudy.operators.look.take_back import is_in_probation, is_lost, take_back
from understudy.operators.problem import telling
from understudy.operators.run_context import AS_OF, airflow_run, as_of, run_folder
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

SHOWN = "report"
BLIND_LOOKS = 3
"""After how many looks in a row that could not compare anything the task turns red: somebody has to look."""


class DecideRetrainingOperator(BaseOperator):
    """Judge a look by the model's ``monitor`` and ``retrain`` sections; return :class:`Looked`.

    Every decision is a ledger entry, "looked, nothing to do" included. Where a retraining is due, the task emits an
    event on the model's asset; a champion that lost its quality within its probation is rolled back first.

    :param model: the declared model.
    :param collected: what :class:`CollectWindowOperator` returned. (templated)
    :param drift: what :class:`DriftCheckOperator` returned. (templated)
    :param quality: what :class:`QualityCheckOperator` returned. (templated)
    """

    template_fields = ("collected", "drift", "quality")
    ui_color = "#f4f0e1"

    def __init__(
        self,
        *,
        model: str,
        collected: "XComArg | dict[str, Any] | None",
        drift: "XComArg | dict[str, Any] | None",
        quality: "XComArg | dict[str, Any] | None",
        **kwargs: Any,
    ) -> None:
        # An event on an alias is one on the asset that it names, and none where it names nothing.
        super().__init__(trigger_rule=TriggerRule.ALL_DONE, outlets=[requests_of(model)], **kwargs)
        self.model = model
        self.collected = collected
        self.drift = drift
        self.quality = quality

    def execute(self, context: "Context") -> dict[str, Any]:
        """Decide once; a retry does what the first try had decided."""
        with telling(context):
            hooks = connect()
            current = hooks.deployments.current(self.model)
            if current is None:
                raise AirflowSkipException(f"{self.model} has no champion yet; there is nothing to look at")
            folder = run_folder(context, self.model)
            spec = folder.freeze_spec(load_model(settings().models_dir, self.model))
            report = self._report(context, current, spec)
            recorded, past = record_look(
                hooks.ledger,
                f"{self.model}/{folder.run}/monitored",
                self.model,
                lambda known: self._judged(context, report, current, spec, known),
                actor=actor_of(context),
                run=folder.run,
            )
            self._log(recorded)
            publish(hooks, current.champion, recorded, report, self._files(report, folder))
            looked = Looked(
                sentence=recorded.look.decision.sentence,
                verdict=recorded.look.decision.judgement.verdict,
                is_blind=recorded.look.is_blind,
                is_due=recorded.look.is_due,
                reasons=recorded.look.decision.reasons,
                held_back=recorded.look.decision.held_back,
                rolled_back_to=self._taken_back(context, recorded),
                ledger_seq=recorded.seq,
            )
            if recorded.look.is_due and past.answer_to(recorded.seq) is None:
                self._ask(context, recorded)
            tell_now(hooks)
            self._complain(context, recorded, past, looked)
            return looked.model_dump(mode="json")

    def _report(self, context: "Context", current: Deployment, spec: ModelSpec) -> MonitorReport:
        collected = Collected.model_validate(self.collected) if self.collected else None
        is_about = collected is not None and collected.champion_since == current.champion_since
        monitor, watched = monitored(spec)
        end = as_of(context)
        problems = list(self._problems(context))
        if collected is not None and not is_about:
            problems.append(
                f"version {current.champion.version} became champion while version "
                f"{collected.champion.version} was looked at; the next look is about it"
            )
        return MonitorReport(
            model=self.model,
            watched=watched,
            champion_version=current.champion.version,
            champion_since=written_at(connect(), self.model, current.champion_since),
            trained_until=collected.trained_until if collected and is_about else trained_until(current),
            as_of=end,
            window_start=end - monitor.window,
            window_end=end,
            drift=self._measured(self.drift, DriftReport) if is_about else None,
            quality=self._measured(self.quality, QualityReport) if is_about else None,
            new_labels=collected.new_labels if collected and is_about else None,
            problems=tuple(dict.fromkeys(problems)),
        )

    def _measured(self, given: Any, kind: type[Any]) -> Any:
        if not given:
            return None
        path = settings().workspace_dir / Measured.model_validate(given).report.path
        return kind.model_validate_json(path.read_text(encoding="utf-8"))

    def _problems(self, context: "Context") -> list[str]:
        """Collect what the tasks above said when they could not measure."""
        told = []
        for task_id in sorted(self.upstream_task_ids):
            said = [context["ti"].xcom_pull(task_ids=task_id, key=key) for key in (REFUSAL_KEY, PROBLEM_KEY)]
            sentence = next((str(text) for text in said if text), None)
            if sentence:
                told.append(f"{task_id}: {sentence}")
        return told

    def _judged(
        self, context: "Context", report: MonitorReport, current: Deployment, spec: ModelSpec, known: Retrainings
    ) -> tuple[Look, str]:
        now, grace = begun_at(context), settings().retrain_within
        pretended = report.as_of if param(context, AS_OF) else None
        history = known.history(now, grace, pretended)
        decision = judge_monitoring(report, monitored(spec)[0], spec.retrain, history)
        trouble = known.trouble(now, grace, longest_run(spec))
        is_breach = is_lost(decision) and is_in_probation(spec, current, report)
        look = Look(
            report=trimmed(report),
            decision=decision,
            is_due=decision.is_due or is_breach,
            is_breach=is_breach,
            champion_since=current.champion_since,
            pretended=pretended,
            trouble=trouble,
            reports_sha256={name: shown.sha256 for name, shown in self._shown().items()},
            **airflow_run(context).model_dump(),
        )
        return look, "; ".join((decision.sentence, *trouble))

    def _log(self, recorded: Recorded) -> None:
        for answer in recorded.look.decision.judgement.results:
            self.log.info("%s: %s (%s)", answer.gate, answer.verdict, answer.sentence)
        self.log.info("%s", recorded.look.decision.sentence)
        for sentence in recorded.look.trouble:
            self.log.warning("%s", sentence)

    def _files(self, report: MonitorReport, folder: RunFolder) -> dict[str, Path]:
        """Gather what is worth reading: the whole report, and what the stages wrote for people."""
        whole = folder.path / "look.json"
        whole.write_text(report.model_dump_json(indent=1), encoding="utf-8")
        return {"look.json": whole, **{name: folder.resolve(shown) for name, shown in self._shown().items()}}

    def _shown(self) -> dict[str, Artefact]:
        """Name the reports that the stages wrote for people, by what they are about."""
        given = {"drift": self.drift, "quality": self.quality}
        written = {name: Measured.model_validate(one).shown for name, one in given.items() if one}
        return {name: outputs[SHOWN] for name, outputs in written.items() if SHOWN in outputs}

    def _taken_back(self, context: "Context", recorded: Recorded) -> int | None:
        if not recorded.look.is_breach:
            return None
        return take_back(connect(), self.model, recorded, run_folder(context, self.model).run, self.log)

    def _ask(self, context: "Context", recorded: Recorded) -> None:
        """Emit the event when this task succeeds; a try that is killed before has emitted nothing, so the next does."""
        decision = recorded.look.decision
        ask = Ask(
            # A champion that is taken back may have lost its quality where no retraining was declared for that.
            reasons=decision.reasons or (Trigger.QUALITY,),
            sentence=decision.sentence,
            ledger_seq=recorded.seq,
            ledger_hash=recorded.hash,
            run_id=str(context["run_id"]),
            as_of=recorded.look.pretended,
        )
        asset = Asset(retrain_uri(self.model))
        context["outlet_events"][requests_of(self.model)].add(asset, extra=ask.model_dump(mode="json"))
        self.log.info("asking for a retraining of %s by an event on %s", self.model, asset.uri)

    def _complain(self, context: "Context", recorded: Recorded, past: Retrainings, looked: Looked) -> None:
        blind = blind_in_a_row((recorded, *past.looks))
        if blind >= BLIND_LOOKS and not recorded.look.is_due:
            context["ti"].xcom_push(key="return_value", value=looked.model_dump(mode="json"))
            raise LooksInconclusive(self.model, blind, looked.sentence)


def requests_of(model: str) -> AssetAlias:
    """Name by what looks emit their events."""
    return AssetAlias(f"requests to retrain {model}")


def begun_at(context: "Context") -> datetime:
    """Say when the task began by the clock, whatever time it pretends: waiting is real."""
    began: datetime = context["ti"].start_date
    return began
