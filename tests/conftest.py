"""What every test stands on: no state of this machine's user, and Docker only where it is really there."""

import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from understudy import __version__

# Airflow reads its home when it is first imported, which a test module may do: a fixture would come too late.
_HOME = tempfile.TemporaryDirectory(prefix="understudy-tests-")
for name in [name for name in os.environ if name.startswith("AIRFLOW__")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = str(Path(_HOME.name) / "airflow")
os.environ["UNDERSTUDY_HOME"] = str(Path(_HOME.name) / "understudy")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# Boosting is many times slower when its threads fight for busy cores; containers get the same setting from the runner.
os.environ["OMP_NUM_THREADS"] = "1"

STACKS = {"test_demo.py", "test_practice.py", "test_gateway_stack.py", "oncall", "test_scheduler.py"}
"""Files or folders whose tests start the embedded stack's services, which want the same few ports."""
SAME_PORTS = {"embedded"}
"""Folders whose tests each want the ports that the embedded stack takes first."""
SHARED = {"cockpit", "registry", "scoring"}
"""Folders whose files share what takes seconds to start, and so stay in one process, where it is started once."""
IMAGE = f"understudy-stage:{__version__}"


TOLD = "told"
"""The property of a test under which it keeps a sentence for whoever reads the run, such as how long something took."""


@lru_cache(maxsize=1)
def what_docker_lacks() -> str | None:
    """Tell why the tests that need Docker cannot run here, or None if they can."""
    for command, lack in (
        (["docker", "version"], "no Docker engine answers"),
        (["docker", "image", "inspect", IMAGE], f"the image {IMAGE} is not built (make image)"),
    ):
        try:
            answer = subprocess.run(command, capture_output=True, check=False, timeout=30)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return lack
        if answer.returncode != 0:
            return lack
    return None


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Keep the tests of a file in one process, where they share what they set up, and embedded stacks in one other."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if STACKS & {Path(file).name, Path(file).parent.name}:
            return "stacks"
        return Path(file).parent.name if Path(file).parent.name in SAME_PORTS | SHARED else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesTogether:
    """Tell who runs what, where tests run side by side."""
    return FilesTogether(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep bytes out of the tests' names: a gzip header has the second in it, and each process would name another."""
    return argname if isinstance(val, bytes) else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `docker` where there is none, except in CI, which has to have one."""
    if item.get_closest_marker("docker") is None:
        return
    lack = what_docker_lacks()
    if lack is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have Docker, but {lack}", pytrace=False)
    pytest.skip(lack)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests measured and nothing depends on."""
    for report in terminalreporter.getreports("passed"):
        for name, sentence in report.user_properties:
            if name == TOLD:
                terminalreporter.write_line(f"{report.nodeid}: {sentence}")
