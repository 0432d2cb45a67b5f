"""What housekeeping removes, and what it leaves."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.operators.price import DUE
from understudy.contract.declared import parse_duration
from understudy.operators.tidy.tidy import remove_old_runs, runners_of
from understudy.runners.errors import RunnerError
from understudy.settings import settings

pytestmark = pytest.mark.usefixtures("price_home")


def test_only_run_folders_that_nobody_wrote_to_for_long_are_removed(tmp_path: Path) -> None:
    import os

    workspace = tmp_path / "workspace"
    for name, days in (("old", 40), ("fresh", 1), ("old-but-used", 40)):
        folder = workspace / "price" / name / "train"
        folder.mkdir(parents=True)
        (folder / "model").write_text("x")
        stamp = DUE.timestamp() - days * 86_400
        for path in (folder / "model", folder, folder.parent):
            os.utime(path, (stamp, stamp))
    os.utime(workspace / "price" / "old-but-used" / "train", (DUE.timestamp(), DUE.timestamp()))
    job = workspace / ".jobs" / "price-train"
    job.mkdir(parents=True)
    os.utime(job, (0, 0))
    (workspace / "price" / "a-file").write_text("not a run")
    assert remove_old_runs(workspace, DUE, parse_duration("30d")) == ["price/old"]
    assert {path.name for path in (workspace / "price").iterdir()} == {"fresh", "old-but-used", "a-file"}
    assert remove_old_runs(tmp_path / "none", DUE, parse_duration("30d")) == []


@pytest.mark.parametrize(("isolation", "ends"), [("auto", 1), ("process", 1), ("docker", RunnerError)])
def test_stages_are_looked_for_wherever_a_declaration_may_have_sent_them(
    isolation: str, ends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_processes(place: str, *_: Any) -> str:
        if place == "docker":
            raise RunnerError("no Docker engine answers")
        return place

    monkeypatch.setattr("understudy.operators.tidy.tidy.choose_runner", only_processes)
    chosen = settings().model_copy(update={"isolation": isolation})
    if isinstance(ends, int):
        assert len(runners_of(chosen)) == ends
    else:
        with pytest.raises(ends):
            runners_of(chosen)
