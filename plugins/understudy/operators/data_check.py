"""Ask whether a window may be trained on; set a bad one aside with the evidence."""

from pathlib import Path
from shutil import copy2
from typing import TYPE_CHECKING, Any, NoReturn

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judgement import Judgement
from understudy.contract.judges.data import judge_data
from understudy.contract.reports import NOTICED, DataReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import EntryKind, StageName, Verdict
from understudy.hooks.connect import connect
from understudy.hooks.data.sources import find_sources
from understudy.operators.decisions import REFUSAL_KEY, accepted_windows, actor_of
from understudy.operators.errors import WindowRefused, WindowSetAside
from understudy.operators.handover import CheckedData, Snapshot
from understudy.operators.run_context import run_folder
from understudy.operators.stage.data_stage import DataStageOperator
from understudy.settings import PROJECT, settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

PROFILE = "profile.json"


class DataSanityCheckOperator(DataStageOperator):
    """Check a snapshot against the declaration and against history; return :class:`CheckedData`.

    A refused window is quarantined with its evidence and ends the run: by failing this task, or, with
    ``skip_on_refusal``, by skipping it and everything below, so that a :class:`ConcludeOperator` can tell a refusal
    from a crash.

    :param model: the declared model.
    :param snapshot: what :class:`SnapshotDataOperator` returned. (templated)
    :param skip_on_refusal: whether a later task reports the refusal.
    """

    template_fields = (*DataStageOperator.template_fields, "snapshot")

    def __init__(self, *, model: str, snapshot: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(stage=StageName.DATA_CHECK, model=model, **kwargs)
        self.snapshot = snapshot

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Mount the window, the champion's profile and the reference files."""
        hooks = connect()
        snapshot = Snapshot.model_validate(self.snapshot)
        inputs = {"data.parquet": folder.resolve(snapshot.data)}
        if snapshot.undated is not None:
            inputs["undated.parquet"] = folder.resolve(snapshot.undated)
        champion = hooks.deployments.current(spec.model)
        if champion is not None:
            profile = folder.outputs("champion") / PROFILE
            inputs["reference_profile.json"] = hooks.registry.fetch_file(champion.champion, PROFILE, profile)
        for index, reference in enumerate(spec.checks.references):
            field = f"checks.references[{index}].file"
            found = next(iter(find_sources(reference.file, PROJECT, settings().data_roots, field).values()))
            inputs[f"known-{index}{found.suffix}"] = found
        accepted = accepted_windows(hooks.ledger, spec.model, spec.checks.history)
        classes = sorted({str(c) for entry in accepted for c in _list(entry.facts.get("classes"))})
        return self.request(
            context,
            spec,
            params={
                "history": [entry.facts["rows"] for entry in accepted],
                "known_classes": list(classes),
            },
        ), inputs

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Judge, record, and refuse or hand over."""
        snapshot = Snapshot.model_validate(self.snapshot)
        report = DataReport.model_validate(result.report)
        judgement = judge_data(report)
        evidence = folder.outputs(self.task_id) / "report.json"
        evidence.write_text(report.model_dump_json(indent=1), encoding="utf-8")
        connect().ledger.append_once(
            f"{self.model}/{folder.run}/data_judged/{snapshot.data_version}/{judgement.verdict}",
            self.model,
            EntryKind.DATA_JUDGED,
            actor_of(context),
            judgement.sentence,
            folder.run,
            {
                "verdict": judgement.verdict.value,
                "data_version": snapshot.data_version,
                "rows": report.rows,
                "bad_rows": report.bad_rows,
                "classes": sorted(report.label_shares),
                "label_shares": dict(report.label_shares),
                "answers": [r.model_dump(mode="json") for r in judgement.results if r.verdict is not Verdict.PASSED][
                    :20
                ],
            },
        )
        for finding in report.findings:
            if finding.failed and not finding.batch_level:
                self.log.warning("set aside: %s", finding.sentence)
            if finding.bound == NOTICED and finding.measured:
                self.log.info("noticed: %s", finding.sentence)
        for answer in judgement.results:
            if answer.verdict is not Verdict.PASSED:
                self.log.warning("%s: %s", answer.gate, answer.sentence)
        if judgement.verdict is not Verdict.PASSED:
            self._refuse(context, judgement, snapshot, self._quarantine(result, folder, evidence))
        self.log.info("data check passed: %s rows, %s set aside", f"{report.rows:,}", f"{report.bad_rows:,}")
        return CheckedData(
            data=self.output_of(result, folder, "data"),
            profile=self.output_of(result, folder, "profile"),
            data_version=snapshot.data_version,
            judgement=judgement,
        ).model_dump(mode="json")

    def _quarantine(self, result: StageResult, folder: RunFolder, evidence: Path) -> Path:
        quarantine = settings().home / "quarantine" / self.model / folder.run
        quarantine.mkdir(parents=True, exist_ok=True)
        copy2(evidence, quarantine)
        if "quarantine" in result.outputs:
            copy2(folder.resolve(self.output_of(result, folder, "quarantine")), quarantine)
        return quarantine

    def _refuse(self, context: "Context", judgement: Judgement, snapshot: Snapshot, quarantine: Path) -> NoReturn:
        run = run_folder(context, self.model).run
        facts = {"data_version": snapshot.data_version, "evidence": str(quarantine)}
        connect().ledger.append_once(
            f"{self.model}/{run}/quarantined/{snapshot.data_version}",
            self.model,
            EntryKind.QUARANTINED,
            actor_of(context),
            judgement.sentence,
            run,
            facts,
        )
        context["ti"].xcom_push(key=REFUSAL_KEY, value=judgement.sentence)
        refused = WindowSetAside if self.skip_on_refusal else WindowRefused
        raise refused(self.model, judgement.sentence, str(quarantine))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
