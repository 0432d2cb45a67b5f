"""A champion's reference window is restored once, and again only where it is spoiled."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.release import Bundle
from understudy.hooks.data.errors import UnknownDataVersion
from understudy.hooks.data.references import reference_of


class Versions:
    """Hold two windows by their hashes."""

    def __init__(self) -> None:
        self.restored: list[str] = []
        self.windows = {hashlib.sha256(rows).hexdigest(): rows for rows in (b"old rows", b"new rows")}

    def restore(self, version: str, destination: Path) -> Path:
        if version not in self.windows:
            raise UnknownDataVersion(version)
        self.restored.append(version)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(self.windows[version])
        return destination


def bundle(reference: str) -> Bundle:
    return Bundle(
        model="price", version=1, model_sha256="m", image_digest="i", code_commit="c", spec_sha256="s",
        data_version=reference, run="r", reference_data=reference,
    )  # fmt: skip


@pytest.fixture
def versions() -> Any:
    return Versions()


def test_a_look_every_hour_restores_once(versions: Any, tmp_path: Path) -> None:
    old = next(iter(versions.windows))
    found = [reference_of(bundle(old), versions, tmp_path) for _ in range(3)]
    assert {path.read_bytes() for path in found} == {b"old rows"}
    assert versions.restored == [old]


def test_a_spoiled_copy_is_restored(versions: Any, tmp_path: Path) -> None:
    old = next(iter(versions.windows))
    reference_of(bundle(old), versions, tmp_path).write_bytes(b"half of the")
    assert reference_of(bundle(old), versions, tmp_path).read_bytes() == b"old rows"


def test_another_champion_replaces_the_copy(versions: Any, tmp_path: Path) -> None:
    for version in versions.windows:
        kept = reference_of(bundle(version), versions, tmp_path)
    assert sorted(tmp_path.rglob("*.parquet")) == [kept]


def test_what_is_gone_is_said(versions: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownDataVersion):
        reference_of(bundle("f" * 64), versions, tmp_path)
