"""What the user's machine may lack: facilities that macOS has not, or has otherwise, are taken away one by one."""

import base64
import ctypes
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy  # noqa: F401 - a scoring process has it before it gives up its rights
import pytest

from understudy.cli.diagnosis import _git
from understudy.cli.finding import Severity
from understudy.contract.words import Confinement
from understudy.gateway import confirm as confirming
from understudy.gateway.log.apart import SPAWN
from understudy.gateway.scoring import confine as confining
from understudy.gateway.scoring.confine import confine, limit_memory
from understudy.gateway.worker import is_there
from understudy.runners import supervise
from understudy.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
BASH_4 = (
    "declare -A",
    "local -n",
    "mapfile",
    "readarray",
    "|&",
    ",,}",
    "^^}",
    "&>>",
    "sed -i",
    "readlink -f",
    "date -d",
)


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LINUX", False)


@pytest.mark.usefixtures("no_proc")
def test_without_proc_a_start_is_told_alike_whatever_language_and_zone_the_worker_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = supervise.started(os.getpid())
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert first
    assert supervise.started(os.getpid()) == first


@pytest.mark.usefixtures("no_proc")
def test_without_proc_a_group_is_its_living_processes() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as alive:
        assert supervise.members(alive.pid)[alive.pid] > 0
        alive.kill()
        os.waitid(os.P_PID, alive.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
        assert supervise.members(alive.pid) == {}
        assert supervise.started(alive.pid) is None


def test_no_more_is_said_to_hold_than_the_c_library_can_do(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        ctypes.CDLL = lambda *_, **__: object()  # type: ignore[assignment,misc]
        held = confine(tmp_path)
        lost = {Confinement.NO_NETWORK, Confinement.NO_PRIVILEGES, Confinement.NO_PROGRAMS}
        os._exit(0 if Confinement.NO_CORE_DUMPS in held and not lost & set(held) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_without_proc_no_memory_limit_is_said_to_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Linux has /proc, so its place is taken by a folder that has nothing; before the limit itself is set.
    monkeypatch.setattr(confining, "Path", lambda path: tmp_path / path.strip("/"))
    assert limit_memory(1 << 40) == ()


def test_a_disk_that_can_is_made_to_empty_its_own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[int] = []
    monkeypatch.delattr(os, "fdatasync", raising=False)
    monkeypatch.setattr(confirming, "WHOLE", 51)
    monkeypatch.setattr(fcntl, "fcntl", lambda _file, order: orders.append(order))
    with (tmp_path / "file").open("w") as file:
        confirming.confirm(file.fileno())
    assert orders == [51]


@pytest.mark.parametrize(("problem", "is_told"), [(errno.ENOTSUP, False), (errno.EIO, True)])
def test_only_a_disk_that_does_not_know_the_order_is_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: int, is_told: bool
) -> None:
    def refuse(_file: int, _order: int) -> None:
        raise OSError(problem, "refused")

    monkeypatch.setattr(confirming, "WHOLE", 51)
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with (tmp_path / "file").open("w") as file:
        if is_told:
            with pytest.raises(OSError, match="refused"):
                confirming.confirm(file.fileno())
        else:
            confirming.confirm(file.fileno())


def test_the_log_is_read_apart_also_below_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    code = f"from concurrent.futures import ProcessPoolExecutor as P; import multiprocessing as m; \
print(P(1, m.get_context({SPAWN.get_start_method()!r})).submit(abs, -7).result())"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(deep)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.stdout, told.returncode) == ("7\n", 0), told.stderr


def test_a_process_is_looked_for_without_a_handle() -> None:
    with subprocess.Popen(["true"]) as ended:
        assert is_there(ended.pid)
    assert not is_there(ended.pid)


def test_a_git_that_only_offers_to_be_installed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    (git,) = _git(Settings())
    assert git.severity is Severity.BROKEN
    assert "xcode-select --install" in git.way_out


@pytest.mark.parametrize("script", sorted((PROJECT / "scripts").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_keep_to_what_bash_3_and_bsd_know(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert [word for word in BASH_4 if word in text] == []


def test_secrets_are_generated_by_tools_that_know_no_long_options(tmp_path: Path) -> None:
    for tool in ("base64", "grep", "head", "mktemp", "od", "stat", "tail", "tr"):
        stub = tmp_path / tool
        stub.write_text(f'#!/bin/sh\ncase "$*" in *--*) exit 64 ;; esac\nPATH={os.defpath} exec {tool} "$@"\n')
        stub.chmod(0o755)
    subprocess.run(
        [PROJECT / "scripts" / "make_env.sh", tmp_path / "env"],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    )
    lines = (tmp_path / "env").read_text(encoding="utf-8").splitlines()
    generated = {name: value for name, _, value in (line.partition("=") for line in lines)}
    assert len(base64.urlsafe_b64decode(generated["STACK_FERNET_KEY"])) == 32
    # Containers on a Mac see the socket of Docker's own machine, which is root's.
    assert generated["STACK_DOCKER_GID"] == "0"


@pytest.mark.parametrize(("hard", "allowed"), [(None, 4096), (1000, 1000)])
def test_a_low_limit_of_open_files_is_raised_as_far_as_the_system_lets_it(hard: int | None, allowed: int) -> None:
    script = (
        "import resource; from understudy.cli.open_files import allow_open_files\n"
        "_, most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard} or most))\n"
        "allow_open_files(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(answer.stdout) == allowed
