"""Run stages as plain processes of this machine, where no Docker engine answers.

The same contract as in a container and a clean environment, but a weaker wall: the process sees the file system and the
network as the worker's user. Memory is bounded by watching what is resident (see ``supervise.py``).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, ClassVar

from pydantic import SecretStr

import understudy
from understudy.contract import entry_point as env
from understudy.contract.declared import sha256_of
from understudy.contract.release import INSTALLATION
from understudy.contract.stage import artefact_of
from understudy.contract.words import ExitCode, Isolation, JobState
from understudy.runners.environment import ORPHAN_GRACE_S, secrets_line, stage_environment
from understudy.runners.errors import JobGone, StartFailed
from understudy.runners.font_list import keep_fonts, lend_fonts
from understudy.runners.inputs import require_inputs
from understudy.runners.log_lines import frames, lines
from understudy.runners.nursery import forked
from understudy.runners.outputs import empty_folder, read_result, refuse_links
from understudy.runners.protocol import Job, JobStatus, LogLine
from understudy.runners.supervise import kill_helpers, members, started, write_json

LIBRARY = Path(understudy.__file__).resolve().parent
SUPERVISOR = LIBRARY / "runners" / "supervise.py"
LOOK_EVERY_S = 0.05
END_WITHIN_S = 2.0
KEPT = ("PATH", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH")
KEPT_FOR_THE_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class ProcessRunner:
    """Run each stage in a process group of its own.

    :param jobs: the folder that holds one folder per job.
    """

    isolation: ClassVar[Isolation] = Isolation.PROCESS

    def __init__(self, *, jobs: Path) -> None:
        self.jobs = jobs
        self.fonts = jobs.with_name(".fonts")

    def find(self, name: str) -> str | None:
        """Return the id of the job of that name; one without ``job.json`` never started."""
        folder = self.jobs / name
        if not folder.is_dir():
            return None
        known = folder / "job.json"
        return (
            known.read_text(encoding="utf-8")
            if known.exists()
            else json.dumps({"pid": 0, "started": None, "dir": str(folder)})
        )

    def submit(self, job: Job, secrets: Mapping[str, SecretStr]) -> str:
        """Start the supervisor, which starts the stage; replace what an earlier try left under that name."""
        left = self.find(job.name)
        if left:
            self.kill(left)
        folder = self.jobs / job.name
        environment = self._environment(job, folder, has_secrets=bool(secrets))
        self._prepare(job, folder, environment)
        line = secrets_line({name: secret.get_secret_value() for name, secret in secrets.items()}) if secrets else b""
        if not forked(folder, line, environment):
            self._begin_alone(folder, line)
        return (folder / "job.json").read_text(encoding="utf-8")

    def status(self, job_id: str) -> JobStatus:
        """Look at the record that the supervisor left, else at the supervisor."""
        facts = json.loads(job_id)
        folder = Path(facts["dir"])
        is_alive = _is_alive(facts)  # before the record is read: it is written before the supervisor ends
        try:
            plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        except OSError:
            return JobStatus(state=JobState.GONE)
        since = datetime.fromtimestamp(plan["submitted"], tz=timezone.utc)
        state, exit_code = JobState.RUNNING, None
        if (folder / "exit.json").exists():
            state, exit_code = _ended(json.loads((folder / "exit.json").read_text(encoding="utf-8")))
        elif not is_alive:
            state = JobState.BROKEN if facts["pid"] else JobState.CREATED
        return JobStatus(state=state, exit_code=exit_code, started_at=since, labels=plan["labels"])

    def stream_logs(self, job_id: str) -> Iterator[LogLine]:
        """Follow the log file from its beginning."""
        path = Path(json.loads(job_id)["dir"]) / "log"
        while not path.exists():
            if self.status(job_id).state is not JobState.RUNNING:
                return
            time.sleep(LOOK_EVERY_S)
        with path.open("rb", buffering=0) as log:

            def read(size: int) -> bytes:
                """Wait for the next bytes as long as the job may still write some."""
                got = log.read(size)
                while len(got) < size:
                    is_running = self.status(job_id).state is JobState.RUNNING
                    more = log.read(size - len(got))
                    got += more
                    if not more and not is_running:
                        break
                    if not more:
                        time.sleep(LOOK_EVERY_S)
                return got

            yield from lines(frames(read))

    def result(self, job_id: str, outputs: Path) -> bytes:
        """Read the result; the files are where they belong already."""
        folder = Path(json.loads(job_id)["dir"])
        if not folder.is_dir():
            raise JobGone(job_id)
        body = read_result(folder / "result" / "return.json", folder.name)
        keep_fonts(folder / "tmp" / "matplotlib", self.fonts)
        refuse_links(outputs)
        return body

    def kill(self, job_id: str) -> None:
        """Kill the stage and all that it has started, wait until that is gone, and remove the job's folder."""
        facts = json.loads(job_id)
        if facts["pid"] and _is_alive(facts):
            kill_helpers(facts["pid"])
        deadline = time.monotonic() + END_WITHIN_S
        # The group outlives a supervisor that was killed alone; its number is then still taken and cannot be another's.
        while facts["pid"] and (_is_alive(facts) or (started(facts["pid"]) is None and members(facts["pid"]))):
            try:
                os.killpg(facts["pid"], signal.SIGKILL)
            except ProcessLookupError:
                break
            except PermissionError:  # macOS says so of a group in which only the dead are left
                pass
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        self.remove(job_id)

    def remove(self, job_id: str) -> None:
        """Remove the job's folder; its outputs lie elsewhere and stay."""
        shutil.rmtree(json.loads(job_id)["dir"], ignore_errors=True)

    def image_digest(self, image: str) -> str:  # noqa: ARG002 - a process runs what is installed, not an image
        """Digest this installation: the interpreter, the stages' code, the version of every package."""
        return _installation_digest()

    def leftovers(self) -> list[dict[str, str]]:
        """List the jobs whose folders exist."""
        found = []
        for plan in sorted(self.jobs.glob("*/plan.json")):
            labels = json.loads(plan.read_text(encoding="utf-8"))["labels"]
            found.append({**labels, "id": self.find(plan.parent.name) or ""})
        return found

    def _begin_alone(self, folder: Path, line: bytes) -> None:
        # -I -S: no site-packages, no user settings: a supervisor is up in a few hundredths of a second.
        begun = subprocess.run(
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(folder)],
            input=line,
            env={"PATH": os.defpath},
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            timeout=60,
        )
        if begun.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise StartFailed(folder.name, f"its supervisor ended with {begun.returncode}")

    def _prepare(self, job: Job, folder: Path, environment: dict[str, str]) -> None:
        require_inputs(job)
        empty_folder(job.outputs)
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("work", "tmp", "inputs", "result"):
            (folder / part).mkdir(parents=True)
        lend_fonts(self.fonts, folder / "tmp" / "matplotlib")
        for name, path in job.inputs.items():
            (folder / "inputs" / name).symlink_to(path.resolve(), target_is_directory=path.is_dir())
        (folder / "request.json").write_text(job.request.model_dump_json(), encoding="utf-8")
        write_json(
            folder / "plan.json",
            {
                "command": [sys.executable, "-m", "understudy.stages"],
                "env": environment,
                "limits": {
                    "memory_bytes": job.resources.memory_bytes,
                    "timeout_s": job.resources.timeout.total_seconds() + ORPHAN_GRACE_S,
                },
                "labels": {**job.labels, "name": job.name},
                "submitted": time.time(),
            },
        )

    def _environment(self, job: Job, folder: Path, *, has_secrets: bool) -> dict[str, str]:
        kept = (*KEPT, *KEPT_FOR_THE_NETWORK) if job.needs_network else KEPT
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **stage_environment(job, has_secrets=has_secrets),
            "PYTHONPATH": str(LIBRARY.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder / "tmp"),
            "TMPDIR": str(folder / "tmp"),
            "MPLCONFIGDIR": str(folder / "tmp" / "matplotlib"),
            env.REQUEST_ENV: str(folder / "request.json"),
            env.INPUTS_ENV: str(folder / "inputs"),
            env.OUTPUTS_ENV: str(job.outputs.resolve()),
            env.RESULT_ENV: str(folder / "result" / "return.json"),
        }


def _is_alive(facts: dict[str, Any]) -> bool:
    return bool(facts["pid"]) and started(facts["pid"]) == facts["started"]


def _ended(record: dict[str, Any]) -> tuple[JobState, int]:
    code = int(record["exit_code"])
    if record["cause"] == "memory" or code == ExitCode.OUT_OF_MEMORY:
        return JobState.OUT_OF_MEMORY, code
    if record["cause"] == "timeout":
        return JobState.BROKEN, code
    return {0: JobState.DONE, int(ExitCode.REFUSED): JobState.REFUSED}.get(code, JobState.BROKEN), code


@lru_cache(maxsize=1)
def _installation_digest() -> str:
    packages = sorted(f"{package.metadata['Name']}=={package.version}" for package in distributions())
    code = [artefact_of(LIBRARY / room, LIBRARY).sha256 for room in ("contract", "stages")]
    return f"{INSTALLATION}{sha256_of([sys.version, packages, code])}"
