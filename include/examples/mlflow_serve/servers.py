"""One ``mlflow models serve`` process: started so that it outlives who started it, tried, and stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

import understudy
from include.examples.mlflow_serve.state import Server
from understudy.contract.release import Bundle
from understudy.hooks.places.errors import TargetRefused, TargetUnreachable
from understudy.hooks.places.probe import example_in

PAUSE_S = 0.2
# The shell ends at once and leaves the server to the init process: an Airflow task's own children end with the task.
DETACHED = 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!'


def start(bundle: Bundle, folder: Path, log: Path) -> Server:
    """Start a server; it is not ready yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "-h", "127.0.0.1"]
    command += ["-p", str(port), "--env-manager", "local"]
    here = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([here, os.environ.get("PATH", "")]),
        "PYTHONPATH": str(Path(str(understudy.__file__)).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    shell = ["sh", "-c", DETACHED, "sh", str(log), *command]
    started = subprocess.run(shell, env=environment, stdout=subprocess.PIPE, start_new_session=True, check=True)
    pid = int(started.stdout)
    return Server(
        version=bundle.version,
        model_sha256=bundle.model_sha256,
        port=port,
        pid=pid,
        started=psutil.Process(pid).create_time(),
    )


def process_of(server: Server) -> psutil.Process | None:
    """Find a server's process; None where it is gone."""
    try:
        found = psutil.Process(server.pid)
        is_it = found.create_time() == server.started and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return found if is_it else None


def try_out(server: Server, folder: Path, deadline: float, log: Path) -> None:
    """Wait until a server answers ``/ping``, then send it the version's own example.

    :raises TargetRefused: where it ended, or answered the example with an error.
    :raises TargetUnreachable: where it is not ready in time.
    """
    name = f"mlflow models serve, version {server.version}"
    url = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
        while not _is_up(client):
            if process_of(server) is None:
                raise TargetRefused(name, f"it ended while it was started; {log} says why")
            if time.monotonic() >= deadline:
                raise TargetUnreachable(name, "it did not answer /ping in time")
            time.sleep(PAUSE_S)
        example = example_in(folder)
        if example is None:
            return
        try:
            answer = client.post("/invocations", content=example, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as broken:
            raise TargetUnreachable(name, str(broken) or type(broken).__name__) from broken
    if answer.status_code != 200:
        raise TargetRefused(name, f"it answered its own example with HTTP {answer.status_code}; {log} says why")


def stop(server: Server) -> None:
    """Let a server finish the requests that it has, and end; it is not waited for."""
    process = process_of(server)
    if process is None:
        return
    for member in [*process.children(recursive=True), process]:
        try:
            member.send_signal(signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue  # ended with its parent


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/ping").status_code == 200
    except httpx.HTTPError:
        return False
