import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.contract.stage import RESULT_LIMIT_BYTES
from understudy.runners.errors import ResultMissing, ResultTooLarge, UnsafeOutputs
from understudy.runners.outputs import empty_folder, read_result, refuse_links, remove_folder


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))


TRAPS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a link to a secret": lambda path: path.symlink_to("/etc/passwd"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: path.mkdir(),
    "a pipe that nobody writes to": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": bound_socket,
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_a_result_must_be_a_plain_file(tmp_path: Path, trap: Callable[[Path], object]) -> None:
    trap(tmp_path / "return.json")
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ResultMissing, match="'a-job'"):
        read_result(tmp_path / "return.json", "a-job")
    assert len(os.listdir("/dev/fd")) == before


def test_a_result_is_read_up_to_the_limit_and_refused_beyond_it(tmp_path: Path) -> None:
    result = tmp_path / "return.json"
    result.write_bytes(b"x" * RESULT_LIMIT_BYTES)
    assert len(read_result(result, "a-job")) == RESULT_LIMIT_BYTES
    os.truncate(result, 1 << 40)  # sparse: reading it would fill the memory
    with pytest.raises(ResultTooLarge):
        read_result(result, "a-job")


def test_a_folder_that_a_stage_closed_is_removed_all_the_same(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    (outputs / "deep" / "deeper").mkdir(parents=True)
    (outputs / "deep" / "deeper" / "file").write_text("x")
    (outputs / "elsewhere").symlink_to(tmp_path)
    (outputs / "deep" / "deeper").chmod(0o000)
    (outputs / "deep").chmod(0o000)
    empty_folder(outputs)
    assert list(outputs.iterdir()) == []
    remove_folder(outputs)
    remove_folder(outputs)
    assert list(tmp_path.iterdir()) == []


def test_links_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    refuse_links(tmp_path)
    (tmp_path / "deep" / "link").symlink_to("/etc")
    with pytest.raises(UnsafeOutputs, match="deep/link"):
        refuse_links(tmp_path)
