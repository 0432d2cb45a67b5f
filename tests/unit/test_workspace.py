"""Where runs keep their files."""

import re
from pathlib import Path

import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.workspace import RunFolder, run_key


def spec(owner: str = "market-ml") -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "price", "owner": owner, "task": "regression",
            "data": {"source": "x.csv", "target": "y", "time": "t"}, "gates": [{"metric": "mae"}],
        }
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(workspace=tmp_path, model="price", run=run_key("manual__2026-01-01T00:00:00+00:00"))


@pytest.mark.parametrize(
    "run_id", ["scheduled__2026-01-01T00:00:00+00:00", "../../etc", "", "a/b\\c\x00d", "ü" * 300, "...."]
)
def test_a_run_key_is_a_safe_folder_name(run_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,80}", run_key(run_id))


def test_run_keys_differ_and_sort_by_time() -> None:
    ids = [f"scheduled__2026-01-{day:02}T00:00:00+00:00" for day in range(1, 29)]
    assert sorted(map(run_key, ids)) == [run_key(i) for i in ids]
    long = "x" * 200
    assert len({run_key("a/b"), run_key("a_b"), run_key(long + "1"), run_key(long + "2")}) == 4


def test_mapped_tasks_have_a_folder_each(folder: RunFolder) -> None:
    assert folder.outputs("train").name == "train"
    assert folder.outputs("trial_1", 0) != folder.outputs("trial_1", 1)


def test_an_output_is_found_from_the_workspace(folder: RunFolder) -> None:
    outputs = folder.outputs("snapshot")
    outputs.mkdir(parents=True)
    (outputs / "data.parquet").write_bytes(b"rows")
    written = folder.describe(outputs / "data.parquet")
    assert written.path == f"price/{folder.run}/snapshot/data.parquet"
    assert folder.resolve(written).read_bytes() == b"rows"


def test_the_first_declaration_holds_for_the_whole_run(folder: RunFolder) -> None:
    assert folder.freeze_spec(spec("first")).owner == "first"
    assert folder.freeze_spec(spec("second")).owner == "first"
    assert folder.freeze_spec(spec("second")).digest() == spec("first").digest()
    assert [path.name for path in folder.path.iterdir()] == ["spec.json"]
