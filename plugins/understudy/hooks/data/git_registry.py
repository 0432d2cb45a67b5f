"""One bare Git repository as an audit trail: clone, change, commit, push, and start over when others were first."""

import os
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp

from understudy.hooks.data.errors import DataRegistryBusy, DataRegistryUnreachable

ATTEMPTS = 30
TIMEOUT_S = 120
LOST_RACE = ("[rejected]", "[remote rejected]", "cannot lock ref", "failed to update ref", "fetch first")
# A Git hook or a parent Git process may have set these; they would point our commands at another repository.
LEFT_OUT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
IDENTITY = (
    "-c",
    "user.name=understudy",
    "-c",
    "user.email=understudy@localhost",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "init.defaultBranch=main",
    "-c",
    "core.hooksPath=/dev/null",
)


class GitRegistry:
    """Read and extend a repository that nobody has checked out."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def clone(self) -> Iterator[Path]:
        """Give a throw-away clone with its whole history."""
        self._create_if_local()
        with TemporaryDirectory(prefix="understudy-registry-", ignore_cleanup_errors=True) as folder:
            tree = Path(folder, "tree")
            self.git("clone", "--quiet", self.url, str(tree))
            yield tree

    def commit(self, change: Callable[[Path], None], message: str) -> str:
        """Apply a change to the newest state, however often others come first, and return the commit that holds it.

        :param change: Writes files below the clone that it is given; writing nothing new makes no commit.
        """
        for attempt in range(ATTEMPTS):
            with self.clone() as tree:
                change(tree)
                self.git("add", "--all", at=tree)
                if not self.git("status", "--porcelain", at=tree):
                    return self.git("rev-parse", "HEAD", at=tree)
                self.git("commit", "--quiet", "--message", message, at=tree)
                branch = self.git("symbolic-ref", "--short", "HEAD", at=tree)
                if self._push(tree, branch):
                    return self.git("rev-parse", "HEAD", at=tree)
            time.sleep(random.uniform(0.02, 0.1 * (1 + min(attempt, 10))))  # noqa: S311 - spreads out writers, hides nothing
        raise DataRegistryBusy(without_user(self.url), ATTEMPTS)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run Git and return what it prints."""
        done = _run(arguments, at)
        if done.returncode:
            raise DataRegistryUnreachable(without_user(self.url), _last_line(done.stderr, self.url))
        return done.stdout.strip()

    def _push(self, tree: Path, branch: str) -> bool:
        done = _run(("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}"), tree)
        if done.returncode and not any(sign in done.stderr for sign in LOST_RACE):
            raise DataRegistryUnreachable(without_user(self.url), _last_line(done.stderr, self.url))
        return done.returncode == 0

    def _create_if_local(self) -> None:
        path = Path(self.url.removeprefix("file://"))
        if not is_local(self.url) or (path / "HEAD").exists():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = mkdtemp(dir=path.parent, prefix=f".{path.name}-")
        except OSError as refused:
            raise DataRegistryUnreachable(self.url, refused.strerror or str(refused)) from refused
        try:
            self.git("init", "--quiet", "--bare", "--initial-branch=main", draft)
            os.chmod(draft, 0o755)  # noqa: S103 - mkdtemp shuts everybody else out, even fellow workers
            os.replace(draft, path)
        except OSError as taken:
            if not (path / "HEAD").exists():  # else somebody created it in the same moment, which is as good
                raise DataRegistryUnreachable(self.url, taken.strerror or str(taken)) from taken
        finally:
            rmtree(draft, ignore_errors=True)


def is_local(url: str) -> bool:
    """Tell a path from an address of another machine."""
    return url.startswith("file://") or ("://" not in url and not re.match(r"^[^/]+@[^/]+:|^[\w.-]+:", url))


def without_user(url: str) -> str:
    """Write an address without the user and password in it."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def _run(arguments: tuple[str, ...], at: Path | None) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    place = ("-C", str(at)) if at else ()
    try:
        return subprocess.run(
            ["git", *IDENTITY, *place, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=TIMEOUT_S,
        )
    except FileNotFoundError as absent:
        raise DataRegistryUnreachable("of data versions", "git is not installed") from absent
    except subprocess.TimeoutExpired as slow:
        raise DataRegistryUnreachable(
            "of data versions", f"git {arguments[0]} took longer than {TIMEOUT_S} s"
        ) from slow


def _last_line(output: str, url: str) -> str:
    lines = [line for line in output.strip().splitlines() if line.strip() and not line.startswith("hint:")]
    return (lines[-1] if lines else "no message").replace(url, without_user(url))
