"""Run a gateway until it is told to stop."""

import gc
import signal
import socket
from collections.abc import Callable

import uvicorn

from understudy.gateway.app import GatewayApp
from understudy.gateway.config import GatewayConfig
from understudy.gateway.patient_http import patient_http
from understudy.gateway.places import places

BACKLOG = 1024


def serve(config: GatewayConfig, announce: Callable[[str], None] | None = None) -> None:
    """Serve in this process until SIGTERM or SIGINT; then answer what is under way, flush the logs, and return.

    :param announce: called with the base URL once the gateway listens.
    :raises OSError: where the address cannot be had.
    :raises UnderstudyError: where a key to verify with cannot be used.
    """
    config.state_dir.mkdir(parents=True, exist_ok=True)
    app = GatewayApp(config, places(config.isolation, config.verify_keys, config.key))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=patient_http(config, app.roster.turned_away),
            ws="none",
            lifespan="on",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=int(config.keep_alive_s),
            timeout_graceful_shutdown=int(config.drain_s),
        )
    )
    listening = _listen(config)
    if announce is not None:
        announce(_url(listening))
    # What was imported lives as long as the process; the collector need not look at it while requests wait.
    gc.collect()
    gc.freeze()
    # uvicorn repeats the signal once it has stopped in order; nothing is left to be done then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listening])


def _listen(config: GatewayConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError:
        listening.close()
        raise
    listening.listen(BACKLOG)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
