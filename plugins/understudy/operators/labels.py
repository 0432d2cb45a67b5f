"""Take labels that arrive as files or in a table to the gateways."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, SecretStr

from understudy.contract.declaration.monitor import LabelsSpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_moment
from understudy.contract.reports import LabelsReport
from understudy.contract.stage import StageRequest, StageResult
from understudy.contract.words import EntryKind, StageName
from understudy.hooks.connect import connect
from understudy.hooks.traffic.label_delivery import LabelsRejected, deliver_labels
from understudy.operators.decisions import REFUSAL_KEY, actor_of
from understudy.operators.errors import LabelsRefused, LabelsUndeclared, NoLabelsYet
from understudy.operators.handover import Labelled
from understudy.operators.run_context import as_of
from understudy.operators.served import served_by
from understudy.operators.source_files import label_files, label_secrets
from understudy.operators.stage.stage import StageOperator
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context


class LabelsOperator(StageOperator):
    """Read what turned out to be true since, and send it to every gateway; return :class:`Labelled`.

    The same labels are sent once: as long as the sources say the same, nothing is sent. Where no file is there yet, the
    task is skipped. Late labels count as long as the gateways keep the predictions.

    :param model: the declared model; ``monitor.labels`` says where its labels arrive.
    """

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        super().__init__(stage=StageName.LABELS, model=model, **kwargs)

    def build_request(
        self,
        context: "Context",
        spec: ModelSpec,
        folder: RunFolder,  # noqa: ARG002 - the base's
    ) -> tuple[StageRequest, dict[str, Path]]:
        """Mount the files, or name the time of which the query may ask."""
        labels = self._declared(spec)
        files = label_files(labels)
        if labels.query is None and not files:
            raise NoLabelsYet(spec.model, str(labels.source))
        end = as_of(context)
        params: dict[str, JsonValue] = {
            "start": format_moment(end - spec.serving.keep_log) if spec.serving else None,
            "end": format_moment(end),
            "label_files": {name: str(path.name) for name, path in files.items()},
        }
        return self.request(context, spec, params=params), files

    def reaches_out(self, spec: ModelSpec) -> bool:
        """Give the container a network only where the labels are on one."""
        return self._declared(spec).query is not None

    def secrets(self, context: "Context", spec: ModelSpec) -> Mapping[str, SecretStr]:  # noqa: ARG002 - the base's
        """Hand the database's URL over by standard input."""
        return label_secrets(self._declared(spec))

    def conclude(self, context: "Context", result: StageResult, folder: RunFolder) -> dict[str, Any]:
        """Send the labels unless the ledger knows that these were sent, and write down how many there were."""
        report = LabelsReport.model_validate(result.report)
        labels = self.output_of(result, folder, "labels")
        hooks, spec = connect(), folder.freeze_spec(self.declared())
        known = hooks.ledger.entries(spec.model, [EntryKind.LABELLED], limit=1, newest_first=True)
        is_known = bool(known) and known[0].facts.get("labels_sha256") == labels.sha256
        served = served_by(hooks, spec)
        sent = 0
        # What is served elsewhere has no prediction log of ours that labels could be joined to.
        if served is not None and served.terms.serving.target is None and report.usable and not is_known:
            try:
                sent = deliver_labels(served.gateways.names, spec.model, folder.resolve(labels))
            except LabelsRejected as rejected:
                context["ti"].xcom_push(key=REFUSAL_KEY, value=str(rejected))
                raise LabelsRefused(str(rejected)) from rejected
        told = Labelled(labels=labels, report=report, sent=sent, sentence=_sentence(report, sent, is_known=is_known))
        if not is_known:
            hooks.ledger.append_once(
                f"{spec.model}/{folder.run}/labelled/{labels.sha256}",
                spec.model,
                EntryKind.LABELLED,
                actor_of(context),
                told.sentence,
                folder.run,
                {"labels_sha256": labels.sha256, "sent": sent, **report.model_dump(mode="json")},
            )
        self.log.info("%s", told.sentence)
        return told.model_dump(mode="json")

    def _declared(self, spec: ModelSpec) -> LabelsSpec:
        labels = spec.monitor.labels if spec.monitor else None
        if labels is None:
            raise LabelsUndeclared(spec.model)
        return labels


def _sentence(report: LabelsReport, sent: int, *, is_known: bool) -> str:
    told = f"{report.usable:,} labels in {report.rows:,} rows"
    left_out = [
        f"{count:,} {what}"
        for count, what in (
            (report.unusable, "without an id, a place or a label"),
            (report.repeated, "replaced by a later one of the same row"),
            (report.contradicted, "rows with different labels"),
        )
        if count
    ]
    told += f" ({', '.join(left_out)})" if left_out else ""
    if is_known:
        return f"{told}; the same as last time, so nothing was sent"
    return f"{told}; {sent:,} were sent to every gateway"
