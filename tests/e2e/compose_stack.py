"""A stack of docker-compose.yaml of its own: another project, other ports, other secrets, gone afterwards."""

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from dotenv import dotenv_values

from understudy import __version__
from understudy.settings import PROJECT

SHIPPED = "docker-compose.yaml"
IMAGES = ("postgres", "haproxy")
REFUSES = "http://mlflow:5000/health"
HEALTHY_WITHIN_S = 420.0
COMMAND_WITHIN_S = 600.0
SETTLED_WITHIN_S = 120.0


def what_compose_lacks() -> str | None:
    """Tell why the stack cannot be started here, or None if it can."""
    if _compose_command() is None:
        return "neither docker compose nor docker-compose is installed"
    needed = {service["image"] for service in _services().values() if not service.get("profiles")}
    for image in sorted(needed):
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
            way = "scripts/build_image.sh airflow" if image.endswith(f":{__version__}") else "docker pull"
            return f"the image {image} is not there ({way}, or .ci/stand_ins.sh where no registry can be reached)"
    return None


@dataclass(frozen=True)
class ComposeStack:
    """A running stack."""

    project: str
    env_file: Path
    command: tuple[str, ...]
    """With the files that describe the stack: the one that is shipped, and what an operator writes beside it."""

    def compose(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command of compose in this project."""
        done = subprocess.run(
            [*self.command, "--env-file", str(self.env_file), "--project-name", self.project, *arguments],
            cwd=PROJECT,
            env=_without_settings_of_ours(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_WITHIN_S,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def type(self, lines: str, folder: Path) -> None:
        """Type lines of the documentation, in a shell in which ``docker compose`` means this project."""
        command = [*self.command, "--env-file", str(self.env_file), "--project-name", self.project]
        # Not the function once more, without end, where the command is `docker compose` itself.
        typed = f'docker() {{ shift; (cd {PROJECT} && command {shlex.join(command)} "$@"); }}\n{lines}'
        done = subprocess.run(
            ["bash", "-euc", typed],
            cwd=folder,
            env=_without_settings_of_ours(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_WITHIN_S,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def cli(self, *words: str) -> Any:
        """Run a command of ours in its own container, as an operator does, and read its JSON."""
        login = {"USER": "admin", "PASSWORD": self.secret("STACK_ADMIN_PASSWORD")}
        as_admin = [f"-eAIRFLOW__UNDERSTUDY__AIRFLOW_{name}={value}" for name, value in login.items()]
        told = self.compose("run", "--rm", "-T", *as_admin, "cli", "understudy", *words, "--json").stdout
        return json.loads(told[min(at for at in (told.find("{"), told.find("[")) if at >= 0) :])

    def python(self, service: str, code: str) -> str:
        """Run Python in a service's container and return what it prints."""
        return self.compose("exec", "-T", service, "python3", "-c", code).stdout

    def is_listening(self, service: str, port: int) -> bool:
        """Tell whether a service answers at a port, asked from a container beside all of them."""
        asking = f"import socket; socket.create_connection(({service!r}, {port}), timeout=10).close()"
        return self.compose("exec", "-T", "scheduler", "python3", "-c", asking, check=False).returncode == 0

    def secret(self, name: str) -> str:
        """Read a generated secret."""
        return str(dotenv_values(self.env_file)[name])

    def url(self, service: str, port: int) -> str:
        """Give the address that a service is published under."""
        return f"http://{self.compose('port', service, str(port)).stdout.strip()}"

    def states(self) -> dict[str, str]:
        """Say of each container how it is: running, healthy, exited …"""
        # By the engine itself: starting docker-compose for each look takes as long as the look may.
        labels = (f"com.docker.compose.project={self.project}", "com.docker.compose.oneoff=False")
        own = [word for label in labels for word in ("--filter", f"label={label}")]
        ids = subprocess.run(["docker", "ps", "--all", "--quiet", *own], capture_output=True, text=True, check=True)
        told = subprocess.run(["docker", "inspect", *ids.stdout.split()], capture_output=True, text=True, check=False)
        found = json.loads(told.stdout or "[]")
        return {
            facts["Config"]["Labels"]["com.docker.compose.service"]: facts["State"].get("Health", facts["State"])[
                "Status"
            ]
            for facts in found
        }

    def wait_until_healthy(self) -> None:
        """Wait for all of them."""

        def missing() -> list[str]:
            return [name for name, state in self.states().items() if name != "init" and state != "healthy"]

        wait(lambda: not missing(), HEALTHY_WITHIN_S, lambda: f"{missing()}\n{self.logs(*missing())}")

    def logs(self, *services: str) -> str:
        """Give the last words of some services."""
        return self.compose("logs", "--no-color", "--tail", "40", *services, check=False).stdout[-8000:]


def wait(until: Callable[[], bool], within_s: float, or_say: Callable[[], str] = str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not until():
        assert time.monotonic() < deadline, or_say()
        time.sleep(1)


@contextmanager
def compose_stack(folder: Path, models: Path) -> Iterator[ComposeStack]:
    """Start a stack that has these models, and remove it with all that it made."""
    command = _compose_command()
    assert command is not None
    override = folder / "docker-compose.override.yaml"
    override.write_text(yaml.safe_dump({"services": _with_models(models)}), encoding="utf-8")
    command = (*command, "--file", str(PROJECT / SHIPPED), "--file", str(override))
    project = f"understudy-test-{os.getpid()}"
    env_file = folder / "stack.env"
    env_file.write_text(
        "STACK_AIRFLOW_PORT=0\nSTACK_GATEWAY_PORT=0\nSTACK_PARALLELISM=4\nCOMPOSE_PROFILES=\n"
        f"STACK_SETTINGS={folder}\n",
        encoding="utf-8",
    )
    # As single quotes and JSON are written there; whoever answers at that address takes no alerts, and says so.
    (folder / "airflow.env").write_text(
        f"AIRFLOW_CONN_WRITTEN='{json.dumps({'conn_type': 'http', 'host': REFUSES})}'\n"
        "AIRFLOW__UNDERSTUDY__ALERTS_TO=written,made\n",
        encoding="utf-8",
    )
    subprocess.run([PROJECT / "scripts" / "make_env.sh", env_file], check=True, capture_output=True)
    stack = ComposeStack(project, env_file, command)
    try:
        started = stack.compose("up", "--detach", check=False)
        assert started.returncode == 0, f"{started.stderr[-3000:]}\n{stack.logs()}"
        stack.wait_until_healthy()
        yield stack
    finally:
        # Compose v2 leaves volumes that only a service of a profile has, such as that of the backups.
        stack.compose("--profile", "cli", "down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)


def token_of(airflow: str, user: str, password: str) -> str:
    """Log in as somebody."""
    token = httpx.post(
        f"{airflow}/auth/token", json={"username": user, "password": password}, timeout=60, trust_env=False
    )
    assert token.is_success, token.text
    return str(token.json()["access_token"])


def account(airflow: str, user: str, password: str) -> httpx.Client:
    """Ask as somebody."""
    headers = {"Authorization": f"Bearer {token_of(airflow, user, password)}"}
    return httpx.Client(base_url=airflow, headers=headers, timeout=60, trust_env=False)


def _without_settings_of_ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("STACK_", "COMPOSE_"))}


def _services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((PROJECT / SHIPPED).read_text(encoding="utf-8"))["services"]
    return services


def _with_models(models: Path) -> dict[str, Any]:
    """Mount other models where a service of the stack has those of the project."""
    place = "./include/models:"
    found = {
        name: [f"{models}:{volume.removeprefix(place)}" for volume in service.get("volumes", ()) if place in volume]
        for name, service in _services().items()
    }
    return {name: {"volumes": volumes} for name, volumes in found.items() if volumes}


def _compose_command() -> tuple[str, ...] | None:
    if shutil.which("docker") is None:
        return None
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else None
