"""What tests of stages stand on."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.unit.stages.check.checked import AS_OF, Check, Checked
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.judges.data import judge_data
from understudy.contract.reports import DataReport
from understudy.contract.stage import StageRequest
from understudy.stages import StageContext, data_check


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a frame under a declaration, in a folder of its own."""

    def run(
        frame: pl.DataFrame,
        task: str = "binary_classification",
        data: dict[str, Any] | None = None,
        inputs: dict[str, Path] | None = None,
        params: dict[str, Any] | None = None,
        *,
        evaluate: dict[str, Any] | None = None,
        **checks: Any,
    ) -> Checked:
        folder = tmp_path / f"check-{len(list(tmp_path.iterdir()))}"
        outputs = folder / "outputs"
        outputs.mkdir(parents=True)
        frame.write_parquet(folder / "data.parquet")
        read = {"source": "x.csv", "target": "y", "time": "at", **(data or {})}
        spec = ModelSpec.model_validate(
            {
                "model": "m",
                "owner": "o",
                "task": task,
                "gates": [{"metric": "mae" if task == "regression" else "accuracy"}],
                "data": read,
                "split": {"method": "time" if read["time"] else "random"},
                "evaluate": evaluate or {},
                "checks": checks,
            }
        )
        request = StageRequest(
            stage="data_check", model="m", run="r", as_of=AS_OF, spec=spec.model_dump(mode="json"), params=params or {}
        )
        answer = data_check.run(
            StageContext(request, {"data.parquet": folder / "data.parquet", **(inputs or {})}, outputs)
        )
        assert isinstance(answer.report, DataReport)
        report = DataReport.model_validate_json(answer.report.model_dump_json())
        quarantine = answer.outputs.get("quarantine")
        return Checked(
            report,
            judge_data(report),
            pl.read_parquet(answer.outputs["data"]),
            pl.read_parquet(quarantine) if quarantine else None,
            outputs,
        )

    return run
