"""Data versions on a real DVC store and a real Git repository in a temporary folder."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import polars as pl
import pytest

from understudy.contract.stage import digest_file
from understudy.hooks.data.errors import (
    AmbiguousDataVersion,
    DataDamaged,
    DataRegistryUnreachable,
    StoreUnreachable,
    UnknownDataVersion,
)
from understudy.hooks.data.versions import DataVersions

NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def versions(tmp_path: Path) -> DataVersions:
    return DataVersions(str(tmp_path / "registry.git"), str(tmp_path / "store"))


def window(path: Path, rows: int = 10, **columns: list[object]) -> Path:
    pl.DataFrame({"x": range(rows), "y": [value % 2 for value in range(rows)], **columns}).write_parquet(path)
    return path


def objects(folder: Path) -> list[Path]:
    return [path for path in (folder / "store").rglob("*") if path.is_file()]


def test_a_version_comes_back_by_its_hash_alone_on_a_machine_that_has_only_the_addresses(
    versions: DataVersions, tmp_path: Path
) -> None:
    data = window(tmp_path / "window.parquet")
    recorded = versions.record(data, "bikes", {"rows": 10, "run": "r1"}, NOON)
    data.unlink()
    elsewhere = DataVersions(str(tmp_path / "registry.git"), str(tmp_path / "store"))
    restored = elsewhere.restore(recorded.sha256[:8], tmp_path / "elsewhere" / "window.parquet")
    assert digest_file(restored) == recorded.sha256
    assert (recorded.rows, recorded.model, recorded.recorded_at, recorded.facts["run"]) == (10, "bikes", NOON, "r1")
    assert [path.name for path in restored.parent.iterdir()] == ["window.parquet"]
    assert elsewhere.log("bikes") == [recorded]


def test_equal_content_is_one_object_and_one_entry(versions: DataVersions, tmp_path: Path) -> None:
    data = window(tmp_path / "window.parquet")
    first = versions.record(data, "bikes", {"rows": 10}, NOON)
    again = versions.record(data, "bikes", {"rows": 10})
    assert again == first
    assert len(objects(tmp_path)) == 1
    assert versions.log("bikes") == [first]


def test_four_records_at_once_lose_nothing(versions: DataVersions, tmp_path: Path) -> None:
    files = [window(tmp_path / f"{rows}.parquet", rows) for rows in (5, 6, 7, 7)]
    with ThreadPoolExecutor(4) as pool:
        recorded = list(
            pool.map(lambda pair: versions.record(pair[1], f"model_{pair[0]}", {"rows": pair[0]}), enumerate(files))
        )
    assert len({version.sha256 for version in recorded}) == 3
    assert [versions.log(f"model_{index}") for index in range(4)] == [[version] for version in recorded]
    assert len(objects(tmp_path)) == 3


def test_a_changed_object_is_refused_and_leaves_the_destination_alone(versions: DataVersions, tmp_path: Path) -> None:
    recorded = versions.record(window(tmp_path / "window.parquet"), "bikes", {"rows": 10})
    (stored,) = objects(tmp_path)
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    kept = tmp_path / "kept.parquet"
    kept.write_text("precious")
    with pytest.raises(DataDamaged, match="missing or was changed"):
        versions.restore(recorded.sha256, kept)
    assert kept.read_text() == "precious"


@pytest.mark.parametrize("version", ["0000", "abc", "../../etc", "", "*"])
def test_a_hash_that_names_nothing_is_said(versions: DataVersions, tmp_path: Path, version: str) -> None:
    with pytest.raises(UnknownDataVersion, match="understudy data log"):
        versions.restore(version, tmp_path / "out.parquet")


def test_a_start_that_several_versions_share_is_said(versions: DataVersions, tmp_path: Path) -> None:
    recorded = versions.record(window(tmp_path / "window.parquet"), "bikes", {"rows": 10})
    twin = recorded.sha256[:10] + "0" * 54

    def add_twin(tree: Path) -> None:
        (tree / "versions" / twin).mkdir()
        (tree / "versions" / twin / "data.parquet.dvc").write_text("")

    versions.registry.commit(add_twin, "a twin")
    with pytest.raises(AmbiguousDataVersion, match="2 data versions start with"):
        versions.restore(recorded.sha256[:10], tmp_path / "out.parquet")


def test_an_absent_store_is_said_without_its_password(versions: DataVersions, tmp_path: Path) -> None:
    recorded = versions.record(window(tmp_path / "window.parquet"), "bikes", {"rows": 10})
    with pytest.raises(StoreUnreachable, match="no such folder"):
        DataVersions(versions.registry.url, str(tmp_path / "gone")).restore(recorded.sha256, tmp_path / "out.parquet")
    with pytest.raises(DataRegistryUnreachable) as refused:
        DataVersions("https://user:hunter2@localhost:1/registry.git", str(tmp_path / "store")).log("bikes")
    assert "hunter2" not in str(refused.value)


def test_the_registry_never_holds_the_password_of_the_store(tmp_path: Path) -> None:
    store = DataVersions(str(tmp_path / "registry.git"), "https://user:hunter2@example.org/store").store
    assert "url = https://example.org/store" in store.config
    assert "hunter2" not in store.config


def test_people_can_fetch_a_version_with_plain_dvc(versions: DataVersions, tmp_path: Path) -> None:
    import sys

    recorded = versions.record(window(tmp_path / "window.parquet"), "bikes", {"rows": 10})
    fetched = tmp_path / "fetched.parquet"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "dvc",
            "get",
            versions.registry.url,
            f"versions/{recorded.sha256}/data.parquet",
            "-o",
            str(fetched),
        ],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        env={**__import__("os").environ, "DVC_SITE_CACHE_DIR": str(tmp_path / "site")},
    )
    assert digest_file(fetched) == recorded.sha256


def test_the_difference_names_what_changed(versions: DataVersions, tmp_path: Path) -> None:
    before = versions.record(window(tmp_path / "a.parquet", 4, old=[1, 2, 3, 4]), "bikes", {"rows": 4})
    after = versions.record(window(tmp_path / "b.parquet", 6, new=[1, None, 3, 4, 5, 6]), "bikes", {"rows": 6})
    found = versions.difference(before.sha256, after.sha256)
    assert (found.rows_before, found.rows_after, found.rows_added, found.rows_removed) == (4, 6, 2, 0)
    assert (found.columns_added, found.columns_removed) == (("new",), ("old",))
    assert (found.columns["x"].mean_before, found.columns["x"].mean_after) == (1.5, 2.5)
    assert "y" not in found.columns
