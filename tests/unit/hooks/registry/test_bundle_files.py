"""How a verified copy of a version's files is put in place."""

import os
from pathlib import Path

from understudy.hooks.registry.bundle_files import put


def folder(path: Path, words: str) -> Path:
    path.mkdir(parents=True)
    (path / "model.txt").write_text(words)
    return path


def test_the_same_files_that_another_process_put_there_stay_for_who_reads_them(tmp_path: Path) -> None:
    there = folder(tmp_path / "model", "weights")
    reading = os.open(there, os.O_RDONLY)
    try:
        put(folder(tmp_path / "fetched", "weights"), there)
        assert os.listdir(reading) == ["model.txt"]
    finally:
        os.close(reading)


def test_other_files_are_replaced(tmp_path: Path) -> None:
    there = folder(tmp_path / "model", "spoiled")
    put(folder(tmp_path / "fetched", "weights"), there)
    assert (there / "model.txt").read_text() == "weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
