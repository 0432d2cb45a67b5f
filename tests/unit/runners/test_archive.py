import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.contract.stage import artefact_of
from understudy.runners.archive import Entry, folder, lay_out, pack, tree, unpack_folder
from understudy.runners.errors import InputGone, LinkLeadsOut, UnsafeOutputs


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> Iterator[bytes]:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return iter([body.getvalue()])


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_a_tree_arrives_as_it_left(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "__pycache__").mkdir(parents=True)
    (source / "empty").write_bytes(b"")
    (source / "deep" / f"{'long' * 40}.bin").write_bytes(bytes(range(256)) * 5000)
    (source / "deep" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (source / "grüße.txt").write_text("ü")
    (tmp_path / "target").mkdir()
    unpack_folder(pack([folder("inputs"), *tree("inputs/source", source)]), tmp_path / "target")
    arrived = tmp_path / "target" / "source"
    assert artefact_of(arrived, tmp_path / "target").sha256 == artefact_of(source, tmp_path).sha256
    assert not (arrived / "deep" / "__pycache__").exists()


def test_a_tree_laid_out_in_a_folder_is_the_same_and_read_only(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "__pycache__").mkdir(parents=True)
    (source / "deep" / "closed.py").write_text("x = 1")
    (source / "deep" / "closed.py").chmod(0o600)
    (tmp_path / "target").mkdir()
    lay_out([folder("inputs"), *tree("inputs/source", source)], tmp_path / "target")
    laid = tmp_path / "target" / "inputs" / "source"
    assert artefact_of(laid, laid.parent).sha256 == artefact_of(source, tmp_path).sha256
    assert (laid / "deep" / "closed.py").stat().st_mode & 0o777 == 0o444
    assert not (laid / "deep" / "__pycache__").exists()


@pytest.mark.parametrize(
    ("link", "target"),
    [("trainer.py", "{out}/evil.py"), ("deep/up.py", "../../out/evil.py"), ("more", "{out}"), ("later", "{out}/later")],
    ids=["file", "relative, one folder down", "folder", "nothing there yet"],
)
def test_a_link_that_leads_out_of_its_folder_is_named_and_nothing_is_read_through_it(
    tmp_path: Path, link: str, target: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "evil.py").write_text("SECRET")
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / link).symlink_to(target.format(out=tmp_path / "out"))
    with pytest.raises(LinkLeadsOut, match=f"'{link}' in .*source leads out"):
        list(tree("inputs/source", tmp_path / "source"))


def test_links_that_stay_inside_arrive_as_links(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.py").write_text("x = 1")
    (source / "b.py").symlink_to("deep/a.py")
    (source / "deep" / "absolute.py").symlink_to(source / "b.py")
    (source / "folder").symlink_to("deep", target_is_directory=True)
    (source / "deep" / "around").symlink_to("..", target_is_directory=True)
    (source / "itself").symlink_to("itself")
    (source / ".#a.py").symlink_to("somebody@machine.17")
    for place in ("packed", "laid"):
        (tmp_path / place).mkdir()
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(tree("source", source))))) as tar:
        tar.extractall(tmp_path / "packed", filter="data")
    lay_out(tree("source", source), tmp_path / "laid")
    for arrived in (tmp_path / "packed" / "source", tmp_path / "laid" / "source"):
        links = {
            path.relative_to(arrived).as_posix(): os.readlink(path) for path in arrived.rglob("*") if path.is_symlink()
        }
        assert links == {"b.py": "deep/a.py", "deep/absolute.py": "a.py", "folder": "deep", "deep/around": ".."}
        assert (arrived / "folder" / "absolute.py").read_text() == "x = 1"
        assert artefact_of(arrived, arrived.parent).sha256 == artefact_of(source, tmp_path).sha256


@pytest.mark.parametrize("swapped", ["deep/a.py", "deep"])
def test_a_link_put_in_the_place_of_what_was_looked_at_is_not_followed(tmp_path: Path, swapped: str) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for folder_ in (source / "deep", out):
        folder_.mkdir(parents=True)
        (folder_ / "a.py").write_text("SECRET" if folder_ is out else "x = 1")
    entries = list(tree("inputs/source", source))
    (source / swapped).rename(tmp_path / "away")
    (source / swapped).symlink_to(out / "a.py" if swapped.endswith(".py") else out)
    with pytest.raises(InputGone, match="cannot be read"):
        list(pack(entries))


def test_a_pipe_put_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a").write_text("x")
    entries = list(tree("inputs/source", tmp_path / "source"))
    (tmp_path / "source" / "a").unlink()
    os.mkfifo(tmp_path / "source" / "a")
    with pytest.raises(InputGone, match="no plain file"):
        list(pack(entries))


def test_packed_files_belong_to_root_and_are_read_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    raw = b"".join(
        pack([*tree("inputs/a", tmp_path / "a"), folder("outputs", (65532, 65532)), Entry("request.json", b"{}")])
    )
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        facts = {m.name: (m.uid, oct(m.mode)) for m in tar}
    assert facts == {"inputs/a": (0, "0o444"), "outputs": (65532, "0o755"), "request.json": (0, "0o444")}


@pytest.mark.parametrize(
    "info",
    [
        member("outputs/../../escape"),
        member("/etc/cron.d/x"),
        member("outputs/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("outputs/hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("outputs/pipe", tarfile.FIFOTYPE),
        member("outputs/device", tarfile.CHRTYPE),
    ],
    ids=lambda info: info.name,
)
def test_whatever_is_not_a_plain_file_below_the_folder_is_refused(tmp_path: Path, info: tarfile.TarInfo) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UnsafeOutputs, match=Path(info.name).name):
        unpack_folder(archive((info, b"")), target)
    assert list(target.iterdir()) == []
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_that_lies_in_wait_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"symbolic|loop"):
        unpack_folder(archive((member("outputs/a"), b"x")), target)
    assert not (tmp_path / "victim").exists()


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeOutputs, match="limit"):
        unpack_folder(archive((member("outputs/a"), b"x" * 60), (member("outputs/b"), b"x" * 60)), tmp_path, limit=100)


def test_an_input_that_shrinks_or_vanishes_while_it_is_copied_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3 << 20))
    packing = pack(tree("inputs/a", tmp_path / "a"))
    next(packing)
    next(packing)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(InputGone, match="shorter"):
        list(packing)
    entries = list(tree("inputs/a", tmp_path / "a"))
    (tmp_path / "a").unlink()
    with pytest.raises(InputGone, match="cannot be read"):
        list(pack(entries))
