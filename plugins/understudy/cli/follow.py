"""``understudy gateway-follower``: what `understudy gateway` starts beside itself, to be told what the ledger says."""

import logging
import os
import sys
import threading
import time
from typing import Annotated

import typer

from understudy.cli.deployment import deployment
from understudy.cli.gateway import LOG_FORMAT

GRACE_S = 10.0


def follow(
    gateway: Annotated[str, typer.Option(help="The base URL of the gateway to keep up to date.")],
) -> None:
    """Tell one gateway what the ledger says, until the standard input ends."""
    from understudy.hooks.connect import Hooks
    from understudy.hooks.follower import Follower

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would name each of its requests, one a second
    stop = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    Follower.beside(Hooks(deployment()), gateway).run_forever(stop)


def _wait_for_the_end(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
    # Whoever asked is gone; a registry that does not answer must not keep an orphan alive.
    time.sleep(GRACE_S)
    os._exit(0)
