"""The two models of a rollback drill."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from understudy.contract.stage import StageRequest, artefact_of
from understudy.stages.context import Refused, StageContext, StageOutput
from understudy.stages.drill import run as drill
from understudy.stages.model.model_files import load_model
from understudy.stages.resolve import resolve


def drilled(folder: Path, run: str = "monday", **params: Any) -> StageOutput:
    folder.mkdir()
    request = StageRequest(
        stage="understudy.stages.drill:run",
        model="understudy_drill",
        run=run,
        as_of=datetime(2026, 1, 5, tzinfo=timezone.utc),
        params=params,
    )
    assert resolve(request.stage, None) is drill
    return drill(StageContext(request=request, inputs={}, outputs=folder))


def digests(folder: Path) -> tuple[str, str]:
    return artefact_of(folder / "good", folder).sha256, artefact_of(folder / "bad", folder).sha256


def test_the_bad_model_says_the_opposite_of_what_is_true(tmp_path: Path) -> None:
    output = drilled(tmp_path / "a")
    report = output.report
    assert isinstance(report, dict)
    assert float(str(report["error_good"])) < 0.15
    assert float(str(report["error_bad"])) > 0.85
    traffic = json.loads(output.outputs["traffic"].read_text())
    rows, truth = pd.DataFrame(traffic["rows"], columns=traffic["columns"]), np.asarray(traffic["labels"])
    good, bad = (load_model(output.outputs[name]).predict(rows) for name in ("good", "bad"))
    assert (good == truth).mean() > 0.85
    assert (bad == truth).mean() < 0.15


def test_with_no_turned_labels_both_are_as_good_and_still_differ(tmp_path: Path) -> None:
    report = drilled(tmp_path / "a", turned="0").report
    assert isinstance(report, dict)
    assert report["error_good"] == pytest.approx(report["error_bad"], abs=0.02)
    assert len(set(digests(tmp_path / "a"))) == 2


def test_the_same_run_gives_the_same_models_and_another_run_gives_others(tmp_path: Path) -> None:
    for name, run in (("a", "monday"), ("b", "monday"), ("c", "tuesday")):
        drilled(tmp_path / name, run)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a")) & set(digests(tmp_path / "c"))


@pytest.mark.parametrize("turned", ["much", 1.5, -0.1, "nan", None])
def test_a_share_that_is_none_is_refused(tmp_path: Path, turned: Any) -> None:
    with pytest.raises(Refused, match="a share from 0 to 1"):
        drilled(tmp_path / "a", turned=turned)
