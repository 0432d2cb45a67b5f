"""Find ports that nobody uses."""

import socket
from collections.abc import Iterable

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError

TRIES = 50


class NoFreePort(UnderstudyError):
    """Every port near the wanted one is taken."""

    def __init__(self, purpose: str, first: int) -> None:
        self.purpose, self.first = purpose, first
        super().__init__(f"No free port for {purpose} between {first} and {first + TRIES - 1}. Stop what uses them.")


class Ports(Fact):
    """Name the ports of one stack."""

    airflow: int = 8080
    mlflow: int = 5000
    gateway: int = 8090
    worker_logs: int = 8793
    triggerer_logs: int = 8794


PURPOSES = {
    "airflow": "Airflow",
    "mlflow": "MLflow",
    "gateway": "the gateway",
    "worker_logs": "the logs of running tasks",
    "triggerer_logs": "the logs of waiting tasks",
}


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port of this host, and nobody answers there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers reuse an address whose last connections still linger; a probe that did not would call it busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    # macOS lets two servers bind to different addresses of one port, and a browser may try IPv6 first: ask who answers.
    return not answers(port)


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port of this host; this keeps nobody from binding it, as a probe would."""
    try:
        socket.create_connection(("localhost", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def choose(wanted: Ports) -> tuple[Ports, list[str]]:
    """Take the wanted ports or the next free ones; also say in words which were busy.

    :raises NoFreePort: when a whole range is taken.
    """
    taken: set[int] = set()
    chosen: dict[str, int] = {}
    remarks = []
    for name, purpose in PURPOSES.items():
        first = getattr(wanted, name)
        port = _next_free(purpose, first, taken)
        taken.add(port)
        chosen[name] = port
        if port != first:
            remarks.append(f"port {first} is busy, so {purpose} uses {port}")
    return Ports(**chosen), remarks


def move(ports: Ports, purpose: str) -> tuple[Ports, str]:
    """Give one purpose the next free port, because another program took its own; also say that in words.

    :raises NoFreePort: when a whole range is taken.
    """
    lost, words = getattr(ports, purpose), PURPOSES[purpose]
    port = _next_free(words, lost + 1, ports.model_dump().values())
    remark = f"another program took port {lost} while {words} was starting, so {words} uses {port}"
    return ports.model_copy(update={purpose: port}), remark


def _next_free(purpose: str, first: int, taken: Iterable[int]) -> int:
    for port in range(first, first + TRIES):
        if port not in taken and is_free(port):
            return port
    raise NoFreePort(purpose, first)
