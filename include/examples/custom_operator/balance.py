"""Refuse to train on a window in which one class crowds out the others."""

from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from understudy.contract.stage import Artefact
from understudy.operators.stage.stage import StageOperator


class BalanceCheckOperator(StageOperator):
    """Measure the share of the most frequent class; fail, without a retry, where it is larger than allowed.

    :param data: what SnapshotDataOperator returned. (templated)
    :param max_share: the largest acceptable share.
    """

    template_fields = (*StageOperator.template_fields, "data")

    def __init__(self, *, data: Any, max_share: float, **kwargs: Any) -> None:
        super().__init__(stage="measure_balance:run", **kwargs)
        self.data = data
        self.max_share = max_share

    def build_request(self, context: Any, spec: Any, folder: Any) -> Any:
        """Mount the window and our code."""
        window = folder.resolve(Artefact.model_validate(self.data["data"]))
        return self.request(context, spec), {"window.parquet": window, "code": Path(__file__).parent / "stage"}

    def conclude(self, context: Any, result: Any, folder: Any) -> dict[str, Any]:  # noqa: ARG002 - the base's signature
        """Judge the measured share."""
        if result.report["share"] is None or result.report["share"] > self.max_share:
            raise AirflowFailException(f"class {result.report['label']!r} has {result.report['share']} of all rows")
        return dict(result.report)
