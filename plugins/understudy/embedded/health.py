"""Ask the components whether they work, and say which one does not."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from understudy.contract.errors import UnderstudyError
from understudy.embedded.layout import Layout
from understudy.embedded.ports import PURPOSES, Ports, answers
from understudy.embedded.processes import Started, is_alive, listens
from understudy.trust import trust_for

AIRFLOW_PARTS = {"scheduler": "scheduler", "dag_processor": "dag-processor", "triggerer": "triggerer"}
SERVERS = {"mlflow": "mlflow", "gateway": "gateway", "api-server": "airflow"}
"""Which component serves on the port of which purpose."""
POLL_S = 0.5
LAST_WORDS = 5


class ComponentDied(UnderstudyError):
    """A component ended instead of starting."""

    def __init__(self, name: str, log: str, last_words: str) -> None:
        self.name, self.log = name, log
        super().__init__(f"{name} ended before it was ready; its log is {log} and ends with: {last_words}")


class PortTaken(UnderstudyError):
    """Another program answers on a port that was free when it was chosen."""

    def __init__(self, name: str, purpose: str, port: int) -> None:
        self.name, self.purpose, self.port = name, purpose, port
        super().__init__(
            f"Another program took port {port} while {PURPOSES[purpose]} was starting, as happened with the ports "
            "tried before. Wait until it has started, then run `understudy up` again."
        )


class NotHealthyInTime(UnderstudyError):
    """A component started but does not answer."""

    def __init__(self, names: list[str], seconds: float, logs: str) -> None:
        self.names = names
        super().__init__(
            f"Not ready after {seconds:.0f} s: {', '.join(names)}. Read the logs in {logs}; "
            "`understudy down` and then `understudy up` starts afresh."
        )


def wait_until_healthy(
    layout: Layout, ports: Ports, started: tuple[Started, ...], timeout_s: float, on_wait: Callable[[list[str]], None]
) -> None:
    """Wait for all components; tell ``on_wait`` which ones are still missing.

    An answer counts only if it is ours: two stacks that start together may choose the same port.

    :raises PortTaken: when somebody else answers on a component's port.
    :raises ComponentDied: when a process ended instead of starting.
    :raises NotHealthyInTime: when ``timeout_s`` has passed.
    """
    since = {process.name: process.asked_at for process in started}
    deadline = time.monotonic() + timeout_s
    while missing := list(dict.fromkeys([*unhealthy(ports, since), *_not_serving(ports, started)])):
        for process in started:
            if not is_alive(process):
                raise _died(layout, process.name)
        if time.monotonic() > deadline:
            raise NotHealthyInTime(missing, timeout_s, str(layout.logs))
        on_wait(missing)
        time.sleep(POLL_S)


def _not_serving(ports: Ports, started: tuple[Started, ...]) -> list[str]:
    """List the servers among our processes that do not listen on their port yet.

    :raises PortTaken: when somebody else listens there.
    """
    missing = []
    for process in started:
        purpose = SERVERS.get(process.name)
        # Asked first: a server of ours that begins to listen in between is not a stranger.
        is_answered = purpose is not None and answers(getattr(ports, purpose))
        if purpose is None or serves(ports, process):
            continue
        if is_answered:
            raise PortTaken(process.name, purpose, getattr(ports, purpose))
        missing.append(process.name)
    return missing


def serves(ports: Ports, process: Started) -> bool:
    """Tell whether a component listens on the port that it is meant to serve, if any."""
    purpose = SERVERS.get(process.name)
    return purpose is None or listens(process, getattr(ports, purpose))


def unhealthy(ports: Ports, since: Mapping[str, float]) -> list[str]:
    """List the components that do not answer, or whose last sign of life is from before they were started.

    :param since: when each was started, in seconds since the epoch; any sign of life will do for others.
    """
    own = {"mlflow": ports.mlflow, "gateway": ports.gateway}
    missing = [name for name, port in own.items() if _get(f"http://127.0.0.1:{port}/health") is None]
    health = _get(f"http://127.0.0.1:{ports.airflow}/api/v2/monitor/health")
    if not isinstance(health, dict):
        return [*missing, "api-server", *AIRFLOW_PARTS.values()]
    for key, name in AIRFLOW_PARTS.items():
        part = health.get(key) or {}
        heartbeat = part.get(f"latest_{key}_heartbeat") or "1970-01-01T00:00:00Z"
        last_alive = datetime.fromisoformat(heartbeat.replace("Z", "+00:00")).timestamp()
        # An earlier run's heartbeat looks healthy for two minutes after its death.
        if part.get("status") != "healthy" or last_alive < since.get(name, 0.0):
            missing.append(name)
    return missing


def _get(url: str) -> object | None:
    import httpx

    try:
        # Never through a proxy: this is the same machine.
        with httpx.Client(trust_env=False, timeout=5, verify=trust_for(url)) as client:
            answer = client.get(url)
    except httpx.HTTPError:
        return None
    if not answer.is_success:
        return None
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


def _died(layout: Layout, name: str) -> ComponentDied:
    log = layout.log_of(name)
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return ComponentDied(name, str(log), " | ".join(lines[-LAST_WORDS:])[-600:] or "nothing")
