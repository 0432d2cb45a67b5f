"""A ledger that cannot be written: one clear sentence, nothing half done, and what was written can still be read."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.contract.by import By
from understudy.contract.release import Bundle, Deployment
from understudy.contract.words import Change, EntryKind
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import LedgerUnavailable
from understudy.hooks.ledger.ledger import Ledger


def record(epoch: int, version: int) -> Deployment:
    champion = Bundle(
        model="demand",
        version=version,
        model_sha256=str(version),
        image_digest="i",
        code_commit="c",
        spec_sha256="s",
        data_version="d",
        run="r",
        reference_data="d",
    )
    return Deployment(model="demand", epoch=epoch, change=Change.PROMOTION, champion=champion, previous=None)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a file system here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_keeps_the_champion(small_disk: Path) -> None:
    deployments = Deployments(Ledger(f"sqlite:///{small_disk / 'ledger.db'}"))
    deployments.deploy(record(1, 1), 0, By(actor="ann", reason="first"))
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 300_000)
    with pytest.raises(LedgerUnavailable, match=r"disk is full; nothing was changed\. Free some space"):
        deployments.ledger.append("demand", EntryKind.JUDGED, "ann", "x" * 50_000)
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        deployments.deploy(record(2, 2), 1, By(actor="ann", reason="x" * 50_000))
    assert deployments.current("demand") == record(1, 1)
    assert deployments.ledger.verify().ok
    filler.unlink()
    deployments.deploy(record(2, 2), 1, By(actor="ann", reason="room again"))
    assert deployments.ledger.verify().ok


def test_a_read_only_ledger_can_be_read_but_not_changed(small_disk: Path) -> None:
    deployments = Deployments(Ledger(f"sqlite:///{small_disk / 'ledger.db'}"))
    deployments.deploy(record(1, 1), 0, By(actor="ann", reason="first"))
    mount("-o", "remount,ro", str(small_disk))
    with pytest.raises(LedgerUnavailable, match=r"read-only; nothing was changed\. Give"):
        deployments.deploy(record(2, 2), 1, By(actor="ann", reason="second"))
    assert deployments.current("demand") == record(1, 1)
    assert deployments.ledger.verify().ok


def test_a_writer_that_never_ends_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.hooks.ledger.engine.BUSY_S", 0.2)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with ledger.writing() as pen:
        pen.append("demand", EntryKind.JUDGED, "ann", "first")
        with pytest.raises(LedgerUnavailable, match=r"was busy.*holds it open"):
            Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").append("demand", EntryKind.JUDGED, "bob", "second")
    assert ledger.verify().checked == 1
