"""The process that scoring processes are forked from: it imports what they need, once, and then only forks."""

import gc
import os
import select
import signal
import socket
import warnings
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from understudy.gateway.scoring.process import live, silence

PRELOAD = (
    "ctypes",
    "orjson",
    "numpy",
    "pandas",
    "sklearn.compose",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
    "skops.io",
    "cloudpickle",
    "understudy.stages.model.model_files",
    "understudy.gateway.scoring.batch",
    "understudy.gateway.scoring.load",
)


def preload() -> None:
    """Import what scoring needs."""
    for name in PRELOAD:
        import_module(name)


def main(fd: int) -> None:
    """Fork for each socket that arrives at ``fd``; when that closes, end, and every fork with it."""
    gateway = os.getppid()
    warnings.simplefilter("ignore")
    preload()
    gc.collect()
    gc.freeze()  # the collector leaves what is shared alone, so that it stays shared
    control = socket.socket(fileno=fd)
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    control.sendall(b"R")
    children: set[int] = set()
    while True:
        arrived, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in arrived:
            os.read(woken, 4096)
        _reap(children)
        if control.fileno() not in arrived:
            continue
        said, received, _, _ = socket.recv_fds(control, 1, 1)
        if not said:
            break
        control.sendall(b"A")
        if received:
            with socket.socket(fileno=received[0]) as sock, suppress(OSError):  # no fork: the gateway sees it end
                children.add(_fork(sock, gateway, control, (woken, wake)))
    for child in children:
        os.kill(child, signal.SIGKILL)  # not reaped yet, so the number is still its own


def _fork(sock: socket.socket, gateway: int, control: socket.socket, pipe: tuple[int, int]) -> int:
    child = os.fork()
    if child == 0:
        _become_scoring_process(sock, gateway, control, pipe)
    return child


def _become_scoring_process(
    sock: socket.socket, gateway: int, control: socket.socket, pipe: tuple[int, int]
) -> NoReturn:
    """Leave nothing of the parent's but its memory, and live as a scoring process."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        for end in pipe:
            os.close(end)
        os.setsid()
        silence()
        live(sock, gateway)
    finally:
        os._exit(1)


def _reap(children: set[int]) -> None:
    for child in list(children):
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            children.discard(child)
