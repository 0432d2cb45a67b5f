"""Train the challenger and register it with everything that made it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from pydantic import JsonValue

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.reports import TrainingReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import EntryKind, StageName
from understudy.hooks.code_version import code_commit
from understudy.hooks.connect import connect
from understudy.hooks.registry.registration import Provenance, Registration
from understudy.hooks.search import rounds
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.handover import CheckedData, Trained
from understudy.operators.stage.stage import StageOperator
from understudy.operators.trial import TrialOperator, open_search, search_space_digest, trial_reports
from understudy.settings import PROJECT
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class TrainOperator(StageOperator):
    """Fit the challenger with the best hyperparameters and register it; return :class:`Trained`.

    :param model: the declared model.
    :param data: what :class:`DataSanityCheckOperator` returned. (templated)
    :param trials: what the trials returned, a list for each round, empty without a search. (templated)
    """

    template_fields = (*StageOperator.template_fields, "data", "trials")

    def __init__(
        self, *, model: str, data: "XComArg | dict[str, Any]", trials: "list[Any] | None" = None, **kwargs: Any
    ) -> None:
        super().__init__(stage=StageName.TRAIN, model=model, **kwargs)
        self.data = data
        self.trials = trials

    def build_request(
        self, context: "Context", spec: ModelSpec, folder: RunFolder
    ) -> tuple[StageRequest, dict[str, Path]]:
        """End the search, mount the window, and name the winner."""
        if not self.data:
            raise AirflowSkipException("there is no checked window to train on")
        inputs = {"data.parquet": folder.resolve(CheckedData.model_validate(self.data).data), **self.model_code(spec)}
        return self.request(context, spec, params={"params": self._searched(context, spec, folder)}), inputs

    def _searched(self, context: "Context", spec: ModelSpec, folder: RunFolder) -> dict[str, JsonValue]:
        if not rounds(spec.train):
            return {}
        search = open_search(spec, folder)
        search.tell(self._trial_reports())
        return search.best(self._refusals(context))

    def _refusals(self, context: "Context") -> list[str]:
        """Collect what trials were refused for, each sentence once."""
        known = {task.task_id: task.task_type for task in self.upstream_list}
        tasks = [name for name, kind in sorted(known.items()) if kind == TrialOperator.__name__]
        told = context["ti"].xcom_pull(task_ids=tasks, key=REFUSAL_KEY) if tasks else []
        return list(dict.fromkeys(str(sentence) for sentence in told if sentence))

    def _trial_reports(self) -> list[Any]:
        return [report for returned in self.trials or [] for report in trial_reports(returned)]

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Register the version under its provenance, then record it."""
        checked = CheckedData.model_validate(self.data)
        spec = folder.freeze_spec(self.declared())
        report = TrainingReport.model_validate(result.report)
        hooks = connect()
        model = self.output_of(result, folder, "model")
        champion = hooks.deployments.current(spec.model)
        searched = self._searched(context, spec, folder)
        told = folder.path / "training.json"
        told.write_text(report.model_dump_json(indent=1), encoding="utf-8")
        registration = Registration(
            model=spec.model,
            run=folder.run,
            model_dir=folder.resolve(model),
            model_sha256=model.sha256,
            provenance=Provenance(
                data_version=checked.data_version,
                spec_sha256=spec.digest(),
                code_commit=code_commit(PROJECT),
                image_digest=self.image_digest(spec),
                own_image=self.own_image(spec),
                decision_threshold=report.decision_threshold,
            ),
            params={**report.params, "seed": report.seed, "estimator": report.estimator},
            metrics={name: value for name, value in report.metrics.items() if value is not None},
            own_tags={
                "owner": spec.owner,
                "airflow_run_id": str(context["run_id"]),
                "airflow_dag_id": context["dag"].dag_id,
                "parent_version": str(champion.champion.version) if champion else "",
                "train_end": str(report.train_end or ""),
            },
            trials=tuple(self._trial_reports()),
            files={
                "profile.json": folder.resolve(checked.profile),
                "spec.json": folder.path / "spec.json",
                "training.json": told,
            },
        )
        bundle = hooks.registry.register(registration)
        hooks.ledger.append_once(
            f"{self.model}/{folder.run}/trained/{bundle.version}",
            spec.model,
            EntryKind.TRAINED,
            actor_of(context),
            f"version {bundle.version} trained on {report.rows_trained:,} rows",
            folder.run,
            {
                "version": bundle.version,
                "bundle": bundle.model_dump(mode="json"),
                "searched": searched,
                "search_space": search_space_digest(spec),
                "training": report.model_dump(mode="json", exclude={"features"}),
            },
        )
        self.log.info("registered version %s of %s (%s)", bundle.version, spec.model, bundle.model_sha256[:12])
        return Trained(
            bundle=bundle,
            model=model,
            references=self.output_of(result, folder, "references"),
            holdout=self.output_of(result, folder, "holdout"),
            train_end=report.train_end,
        ).model_dump(mode="json")
