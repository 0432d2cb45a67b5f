"""Judge the challenger against the champion on the same future rows; bless it or decline it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_moment
from understudy.contract.judgement import Judgement
from understudy.contract.judges.challenger import judge
from understudy.contract.release import Blessing
from understudy.contract.reports import EvaluationReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.unchanged import is_champion_again
from understudy.contract.words import EntryKind, StageName, Verdict
from understudy.hooks.connect import connect
from understudy.operators.decisions import actor_of, may_promote
from understudy.operators.handover import Evaluated, Trained
from understudy.operators.stage.stage import StageOperator
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

CHAMPION_FILE = "champion.json"


class EvaluateVsChampionOperator(StageOperator):
    """Compare champion and challenger, judge by the gates, record, and bless; return :class:`Evaluated`.

    :param model: the declared model.
    :param trained: what :class:`TrainOperator` returned. (templated)
    """

    template_fields = (*StageOperator.template_fields, "trained")

    def __init__(self, *, model: str, trained: "XComArg | dict[str, Any]", **kwargs: Any) -> None:
        super().__init__(stage=StageName.EVALUATE, model=model, **kwargs)
        self.trained = trained

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Mount the holdout, both models and the references."""
        trained = Trained.model_validate(self.trained)
        hooks = connect()
        hooks.registry.require_signature(trained.bundle)
        champion = hooks.deployments.current(spec.model)
        # What the challenger is judged against is decided here, once: a retry after a promotion elsewhere must not
        # silently compare with another champion than the blessing names.
        against = folder.outputs("champion") / CHAMPION_FILE
        against.parent.mkdir(parents=True, exist_ok=True)
        against.write_text(champion.model_dump_json() if champion else "null", encoding="utf-8")
        inputs = {
            "holdout.parquet": folder.resolve(trained.holdout),
            "challenger": folder.resolve(trained.model),
            "references": folder.resolve(trained.references),
            **self.model_code(spec),
        }
        champion_train_end = None
        if champion is not None:
            inputs["champion"] = hooks.registry.fetch(champion.champion, folder.outputs("champion") / "model")
            champion_train_end = hooks.registry.tags(champion.champion).get("train_end") or None
        return self.request(
            context,
            spec,
            params={
                "challenger_version": str(trained.bundle.version),
                "champion_version": champion.champion.version if champion else None,
                "challenger_train_end": format_moment(trained.train_end),
                "champion_train_end": champion_train_end,
                "allow_pickle": spec.train.allow_pickle,
            },
        ), inputs

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Judge, keep the evidence, and only then bless."""
        from understudy.contract.release import Deployment

        spec = folder.freeze_spec(self.declared())
        bundle = Trained.model_validate(self.trained).bundle
        raw = (folder.outputs("champion") / CHAMPION_FILE).read_text(encoding="utf-8")
        champion = Deployment.model_validate_json(raw) if raw != "null" else None
        measured = EvaluationReport.model_validate(result.report)
        latency = {k: v for k, v in result.timings.items() if k in {"latency_p95_ms", "champion_latency_p95_ms"}}
        report = measured.model_copy(update={"measurements": {**measured.measurements, **latency}})
        judgement = judge(report, spec.gates, spec.evaluate)
        for answer in judgement.results:
            self.log.info("%s: %s (%s)", answer.gate, answer.verdict, answer.sentence)
        is_again = is_champion_again(bundle, champion.champion if champion else None, judgement)
        hooks = connect()
        evidence = self.output_of(result, folder, "report")
        facts = {
            "version": bundle.version,
            "verdict": judgement.verdict.value,
            "rubber_stamped": judgement.rubber_stamped,
            "is_champion_again": is_again,
            "champion_version": champion.champion.version if champion else None,
            "judgement": judgement.model_dump(mode="json"),
            "judgement_sha256": judgement.digest(),
            "report_sha256": evidence.sha256,
            "data_version": bundle.data_version,
            "report": report.model_dump(mode="json", exclude={"slices"}),
        }
        hooks.ledger.append_once(
            f"{self.model}/{folder.run}/judged/{judgement.digest()}",
            self.model,
            EntryKind.JUDGED,
            actor_of(context),
            judgement.sentence,
            folder.run,
            facts,
        )
        hooks.registry.attach(bundle, {"report": folder.resolve(evidence)})
        is_blessed = judgement.verdict is Verdict.PASSED and not is_again and may_promote(context)
        if is_blessed:
            self._bless(context, bundle, champion, judgement, folder)
        return Evaluated(
            bundle=bundle,
            champion_version=champion.champion.version if champion else None,
            champion_epoch=champion.champion_since if champion else 0,
            judgement=judgement,
            is_blessed=is_blessed,
            is_champion_again=is_again,
        ).model_dump(mode="json")

    def _bless(self, context: "Context", bundle: Any, champion: Any, judgement: Judgement, folder: RunFolder) -> None:
        blessing = Blessing(
            challenger=bundle,
            champion_version=champion.champion.version if champion else None,
            champion_epoch=champion.champion_since if champion else 0,
            judgement_sha256=judgement.digest(),
            rubber_stamped=judgement.rubber_stamped,
        )
        connect().ledger.append_once(
            # The same numbers against the same champion at a later epoch need a blessing of their own.
            f"{self.model}/{folder.run}/blessed/{judgement.digest()}/{blessing.champion_epoch}",
            self.model,
            EntryKind.BLESSED,
            actor_of(context),
            judgement.sentence,
            folder.run,
            blessing.model_dump(mode="json"),
        )
