"""The life of a scoring process: shut itself off, verify, load, warm up, score until the gateway is gone."""

import os
import select
import sys
import threading
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn, Protocol

from understudy.gateway.exchange import Answer, Item
from understudy.gateway.frames import Frame, FrameBroken, pack, pack_answers, read_items, receive
from understudy.gateway.scoring.confine import confine, limit_memory
from understudy.gateway.worker import WorkerReady, WorkerStart, is_there

LOOK_EVERY_S = 0.5


class Stream(Protocol):
    """Be a socket, or two pipes, with the gateway at the other end."""

    def fileno(self) -> int:
        """Give the descriptor that hangs up when the gateway does."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Read some bytes; none at the end."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Write all bytes."""
        ...


def silence() -> None:
    """Let whatever a model prints, however much, go nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def live(sock: Stream, gateway: int | None = None) -> NoReturn:
    """Serve the gateway at the other end.

    :param gateway: its process number, where it runs beside us.
    """
    sock.sendall(pack({"kind": "hello", "pid": os.getpid()}))
    first = receive(sock)
    if first is not None:
        _serve(sock, gateway, WorkerStart.read(first.header["start"]))
    os._exit(0)


def _serve(sock: Stream, gateway: int | None, start: WorkerStart) -> None:
    from understudy.gateway.scoring.load import Refusal, load, verify

    started = monotonic()
    try:
        # A version's digest leaves byte code out, so none may be run in place of the source that it covers.
        sys.pycache_prefix = os.devnull
        verify(Path(start.folder), start.bundle.model_sha256)
        isolation = confine(Path(start.folder))
        threading.Thread(target=_leave_with_gateway, args=(sock, gateway), daemon=True).start()
        isolation += limit_memory(start.memory_bytes)  # after the thread, which would wait for ever for its memory
        loaded = load(start)
    except Refusal as refused:
        sock.sendall(pack({"kind": "refused", "problem": str(refused)}))
        return
    ready = WorkerReady(
        load_ms=round((monotonic() - started) * 1000, 1),
        inputs=loaded.scoring.reader.scorer.facts.inputs,
        input_datatypes=loaded.scoring.reader.datatypes,
        output_datatype=loaded.output_datatype,
        example=loaded.example,
        is_fast=loaded.scoring.predictor.fast is not None,
        isolation=isolation,
    )
    sock.sendall(pack({"kind": "ready", "ready": ready.model_dump(mode="json")}))
    while (frame := receive(sock)) is not None:
        items = read_items(frame)
        sock.sendall(_packed(frame, items, loaded.scoring(items)))


def _packed(frame: Frame, items: list[Item], answers: list[Answer]) -> bytes:
    from understudy.gateway.scoring.batch import failure
    from understudy.gateway.scoring.refusals import AnswerUnusable

    seq = int(frame.header["seq"])
    try:
        return pack_answers(seq, answers)
    except FrameBroken:  # a model that answers with megabytes for each row
        return pack_answers(seq, [failure(item.wire, AnswerUnusable(), 0) for item in items])


def _leave_with_gateway(sock: Stream, gateway: int | None) -> None:
    """End when the gateway does, even in the middle of a prediction that would take hours."""
    if gateway is None or hasattr(select, "POLLRDHUP"):
        watch = select.poll()
        watch.register(sock, getattr(select, "POLLRDHUP", 0))
        watch.poll()
    else:  # macOS tells nobody that does not read
        while is_there(gateway):
            sleep(LOOK_EVERY_S)
    os._exit(0)
