"""A content-addressed DVC remote, written and read through throw-away repositories.

A shared DVC repository loses the race for its lock, and links into its cache let a later append change stored data; a
repository per call has neither problem. Writes go through DVC's command line, since its Python API has none.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import NamedTuple

import yaml

from understudy.hooks.data.errors import DataDamaged, StoreUnreachable
from understudy.hooks.data.git_registry import is_local, without_user

DATA_FILE = "data.parquet"
POINTER_FILE = "data.parquet.dvc"
TIMEOUT_S = 3600
CODE = "import json, sys; from dvc.cli import main; sys.exit(next(filter(None, map(main, json.loads(sys.argv[1]))), 0))"
NOT_THERE = ("do not exist neither locally nor on remote", "missing-files", "No such file or directory")


class Pointer(NamedTuple):
    """Hold what DVC needs to find an object again."""

    text: str
    md5: str
    size_bytes: int


def read_pointer(text: str) -> Pointer:
    """Parse the content of a ``.dvc`` file."""
    out = yaml.safe_load(text)["outs"][0]
    return Pointer(text, out["md5"], out["size"])


class DvcStore:
    """Put files into a DVC remote and get them back by their pointers."""

    def __init__(self, url: str) -> None:
        self.url = str(Path(url.removeprefix("file://")).absolute()) if is_local(url) else url

    @property
    def config(self) -> str:
        """The configuration of a repository that uses this store, without the secrets of its address."""
        return _config(without_user(self.url), needs_git=True)

    def put(self, file: Path) -> Pointer:
        """Store a file; equal content is stored once."""
        if is_local(self.url):
            try:
                Path(self.url).mkdir(parents=True, exist_ok=True)
            except OSError as refused:
                raise StoreUnreachable(self.url, refused.strerror or str(refused)) from refused
        with self._repository(None) as folder:
            copyfile(file, folder / DATA_FILE)
            done = _dvc(folder, ["add", DATA_FILE], ["push"])
            if done.returncode:
                raise StoreUnreachable(without_user(self.url), _last_error(done, self.url))
            return read_pointer((folder / POINTER_FILE).read_text(encoding="utf-8"))

    @contextmanager
    def get(self, pointer: Pointer, sha256: str, beside: Path) -> Iterator[Path]:
        """Fetch an object into a throw-away folder in ``beside``; move it away before the context ends."""
        if is_local(self.url) and not Path(self.url).is_dir():
            raise StoreUnreachable(self.url, "there is no such folder")
        with self._repository(beside) as folder:
            (folder / POINTER_FILE).write_text(pointer.text, encoding="utf-8")
            done = _dvc(folder, ["pull"])
            if done.returncode:
                if any(sign in done.stderr for sign in NOT_THERE):
                    raise DataDamaged(sha256, without_user(self.url), "is missing or was changed")
                raise StoreUnreachable(without_user(self.url), _last_error(done, self.url))
            yield folder / DATA_FILE

    @contextmanager
    def _repository(self, beside: Path | None) -> Iterator[Path]:
        with TemporaryDirectory(prefix=".understudy-dvc-", dir=beside, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / ".dvc").mkdir()
            (folder / ".dvc" / "config").write_text(_config(self.url, needs_git=False), encoding="utf-8")
            yield folder


def _config(url: str, *, needs_git: bool) -> str:
    core = "" if needs_git else "    no_scm = true\n"
    return (
        f"[core]\n{core}    analytics = false\n    check_update = false\n    remote = store\n"
        f'[cache]\n    type = "reflink,copy"\n[\'remote "store"\']\n    url = {url}\n    verify = true\n'
    )


def _dvc(folder: Path, *commands: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run commands one after the other, up to the first that fails, in one process: DVC takes long to import."""
    environment = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc" / "site"),
        "NO_COLOR": "1",
    }
    try:
        return subprocess.run(
            [sys.executable, "-c", CODE, json.dumps(commands)],
            cwd=folder,
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as slow:
        raise StoreUnreachable("of data versions", f"dvc {commands[0][0]} took longer than {TIMEOUT_S} s") from slow


def _last_error(done: "subprocess.CompletedProcess[str]", url: str) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.strip().splitlines()[
        -1:
    ]
    text = lines[0].removeprefix("ERROR:").strip() if lines else f"dvc ended with {done.returncode}"
    return re.sub(r"\s+", " ", text).replace(url, without_user(url))
