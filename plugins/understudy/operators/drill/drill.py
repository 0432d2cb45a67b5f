"""Prove on the real gateways that a bad model is found out and taken back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from understudy.contract.declared import DRILL_MODEL, sha256_of
from understudy.contract.drill import DRILL_GUARD, DrillReport, judge_drill, sentence_of
from understudy.contract.errors import UnderstudyError
from understudy.contract.release import Bundle
from understudy.contract.stage import Artefact
from understudy.contract.words import EntryKind, Verdict
from understudy.hooks.code_version import code_commit
from understudy.hooks.connect import Hooks, connect
from understudy.hooks.registry.registration import Provenance, Registration
from understudy.hooks.traffic.labelled_traffic import LabelledRows
from understudy.operators.alerting import tell_now
from understudy.operators.decisions import actor_of
from understudy.operators.drill.course import Course
from understudy.operators.drill.errors import (
    BadModelNotReversed,
    BadModelUndetected,
    DrillSpent,
    DrillStopped,
    SandboxLeftBehind,
)
from understudy.operators.drill.models import STAGE, skip_drill
from understudy.operators.drill.sandbox import Sandbox
from understudy.operators.handover import Drilled
from understudy.operators.problem import telling
from understudy.operators.run_context import airflow_run, run_folder
from understudy.operators.stage.plan import isolation_of, runner_of, runtime_of
from understudy.settings import PROJECT, settings

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

KILL_S = 3.0


class DrillOperator(BaseOperator):
    """Ship a bad model into the drill's sandbox, wait until it is taken back, and measure both.

    Returns :class:`Drilled`. Whatever happens, the gateways forget the sandbox.

    :param models: what :class:`DrillModelsOperator` returned. (templated)
    """

    template_fields = ("models",)
    ui_color = "#fbe3e4"
    _is_killed = False

    def __init__(self, *, models: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.models = models

    def execute(self, context: "Context") -> dict[str, Any]:
        """Drill once; what was measured is kept before anything is said about it."""
        with telling(context):
            sandbox = sandbox_of(context)
            if sandbox is None:
                skip_drill(context)
            try:
                sandbox.clear()  # of what a drill left whose process was killed, and that of its clearing
            except SandboxLeftBehind as left:
                self.log.warning("%s", left)  # a gateway that is still away at the promotion says so there
            with self._cleared(sandbox):
                drilled = self._drill(context, sandbox)
            detection, reversal = drilled.judgement.results
            if detection.verdict is not Verdict.PASSED:
                raise BadModelUndetected(drilled.sentence)
            if reversal.verdict is not Verdict.PASSED:
                raise BadModelNotReversed(drilled.sentence)
            return drilled.model_dump(mode="json")

    def on_kill(self) -> None:
        """Make the gateways forget the sandbox at once, and start nothing more in it."""
        self._is_killed = True
        gateways = connect().gateways
        if gateways is not None:
            gateways.forget(DRILL_MODEL, purge=True, within_s=KILL_S)

    def _go_on(self) -> None:
        if self._is_killed:
            raise DrillStopped

    def _drill(self, context: "Context", sandbox: Sandbox) -> Drilled:
        chosen, folder = settings(), run_folder(context, DRILL_MODEL)
        rendered = cast("dict[str, Any]", self.models)
        files = {name: Artefact.model_validate(told) for name, told in rendered["outputs"].items()}
        denied = sandbox.hooks.deployments.denied(DRILL_MODEL)
        if denied.keys() & {files["good"].sha256, files["bad"].sha256}:
            raise DrillSpent(sandbox.run)
        good, bad = (self._registered(sandbox, files[name], folder.resolve(files[name])) for name in ("good", "bad"))
        known = LabelledRows.model_validate_json(folder.resolve(files["traffic"]).read_text(encoding="utf-8"))
        report = Course(
            sandbox, good, bad, known, chosen.drill_detect_within, chosen.drill_reverse_within, self._go_on
        ).run()
        judgement = judge_drill(report, chosen.drill_detect_within, chosen.drill_reverse_within)
        drilled = Drilled(report=report, judgement=judgement, sentence=sentence_of(judgement))
        self._keep(sandbox, bad, drilled)
        return drilled

    def _registered(self, sandbox: Sandbox, model: Artefact, folder: Path) -> Bundle:
        runtime = runtime_of(STAGE, settings().runtime, None)
        provenance = Provenance(
            data_version=f"generated for {sandbox.run}",
            # There is no declaration; what the versions are judged by stands in for it.
            spec_sha256=sha256_of(DRILL_GUARD.model_dump(mode="json")),
            code_commit=code_commit(PROJECT),
            image_digest=runner_of(isolation_of(runtime)).image_digest(str(runtime.image)),
        )
        return sandbox.hooks.registry.register(
            Registration(
                model=DRILL_MODEL,
                run=sandbox.run,
                model_dir=folder,
                model_sha256=model.sha256,
                provenance=provenance,
                own_tags={"drill": folder.name},
            )
        )

    def _keep(self, sandbox: Sandbox, bad: Bundle, drilled: Drilled) -> None:
        sandbox.hooks.ledger.append_once(
            f"{DRILL_MODEL}/{sandbox.run}/{EntryKind.DRILLED}",
            DRILL_MODEL,
            EntryKind.DRILLED,
            sandbox.actor,
            drilled.sentence,
            sandbox.run,
            {
                **sandbox.airflow.model_dump(),
                "version": bad.version,
                "verdict": drilled.judgement.verdict.value,
                "report": drilled.report.model_dump(mode="json"),
                "judgement": drilled.judgement.model_dump(mode="json"),
                "judgement_sha256": drilled.judgement.digest(),
            },
        )
        tell_now(sandbox.hooks)
        self.log.info("%s", drilled.sentence)
        try:
            sandbox.hooks.registry.measure(bad, metrics_of(drilled.report))
        except UnderstudyError as unreachable:
            self.log.warning("the ledger has the drill's numbers, MLflow has not: %s", unreachable)

    @contextmanager
    def _cleared(self, sandbox: Sandbox) -> Iterator[None]:
        """Clear the sandbox in the end; where that fails, the next task tries again, and this one is red."""
        try:
            yield
        except BaseException:
            # A timeout of Airflow's is no Exception. What broke the drill is worth more than what is left of it.
            try:
                sandbox.clear()
            except UnderstudyError as left:
                self.log.warning("%s", left)
            raise
        sandbox.clear()


class ClearSandboxOperator(BaseOperator):
    """Clear the drill's sandbox, however the drill ended; a killed worker could not do it itself."""

    ui_color = "#eeeeee"

    def execute(self, context: "Context") -> None:
        """Clear it; repeating that is harmless."""
        with telling(context):
            sandbox = sandbox_of(context)
            if sandbox is not None:
                sandbox.clear()


def sandbox_of(context: "Context") -> Sandbox | None:
    """Open the sandbox for a run; None where nothing is served."""
    hooks: Hooks = connect()
    if hooks.gateways is None:
        return None
    return Sandbox(hooks, hooks.gateways, actor_of(context), run_folder(context, DRILL_MODEL).run, airflow_run(context))


def metrics_of(report: DrillReport) -> dict[str, float]:
    """Give what MLflow draws over the drills; what was not reached is left out."""
    measured = {"drill_detection_s": report.detection_s, "drill_reversal_s": report.reversal_s}
    return {
        **{name: took for name, took in measured.items() if took is not None},
        "drill_requests": float(report.requests),
        "drill_requests_lost": float(report.lost),
    }
