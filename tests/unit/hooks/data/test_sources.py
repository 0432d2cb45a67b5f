"""Sources stay where the deployment allows them."""

import os
from pathlib import Path

import pytest

from understudy.hooks.data.sources import (
    SourceNotFound,
    SourceOutOfBounds,
    SourceUnreadable,
    SourceUnusable,
    find_sources,
    is_url,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    for name in ("b.csv.gz", "a.csv.gz", "c.parquet"):
        (folder / "data" / name).write_bytes(b"x")
    return folder


def test_a_glob_is_sorted_and_keeps_suffixes(project: Path) -> None:
    found = find_sources("data/*.csv.gz", project, "")
    assert {name: path.name for name, path in found.items()} == {
        "source-0.csv.gz": "a.csv.gz",
        "source-1.csv.gz": "b.csv.gz",
    }


def test_a_file_url_is_a_path(project: Path) -> None:
    assert list(find_sources(f"file://{project}/data/c.parquet", project, "").values()) == [
        project / "data" / "c.parquet"
    ]
    assert is_url("https://example.org/x.csv")
    assert not is_url("data/x.csv")


def test_nothing_there_is_said_with_the_place(project: Path) -> None:
    with pytest.raises(SourceNotFound, match="looked at"):
        find_sources("data/none.csv", project, "")


def test_every_refusal_names_the_field_that_it_was_asked_for(project: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"x")
    field = "checks.references[1].file"
    for file in ("data/none.csv", str(tmp_path / "out.csv"), "data"):
        with pytest.raises(SourceUnusable, match=r"^data\.source "):
            find_sources(file, project, str(project))
        with pytest.raises(SourceUnusable, match=r"^checks\.references\[1\]\.file ") as refused:
            find_sources(file, project, str(project), field)
        assert "data.source" not in str(refused.value)


def test_a_link_out_of_the_project_is_refused(project: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x", encoding="utf-8")
    (project / "data" / "link.csv").symlink_to(secret)
    with pytest.raises(SourceOutOfBounds, match="outside of"):
        find_sources("data/link.csv", project, "")


def test_absolute_sources_obey_the_roots_where_they_are_set(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("x", encoding="utf-8")
    assert find_sources(str(outside), project, "")
    with pytest.raises(SourceOutOfBounds):
        find_sources(str(outside), project, str(project))
    assert find_sources(str(outside), project, f"{project}:{tmp_path}")


def test_a_folder_is_not_a_source(project: Path) -> None:
    with pytest.raises(SourceUnreadable):
        find_sources("data", project, "")


@pytest.mark.parametrize("source", ["/dev/zero", "/dev/[z]ero"])
def test_a_device_is_no_file_and_neither_is_a_pipe(project: Path, source: str) -> None:
    with pytest.raises(SourceUnreadable, match=r"data\.source /dev/zero is not a file"):
        find_sources(source, project, "")
    pipe = project / "data" / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(SourceUnreadable, match=r"pipe\.csv is not a file"):
        find_sources("data/pipe.csv", project, "")
