"""A call: what a request says beside its body, and how it stands in the log."""

import time

from understudy.contract.words import MirrorLoss, Role
from understudy.gateway.exchange import Answer, Item, LogRow
from understudy.gateway.waiting import Answered, Lost, Stamp

LONGEST_CLIENT_ID = 200


class Call:
    """Hold what a request says beside its body."""

    __slots__ = (
        "arrived_ns", "client_id", "content_type", "encoding", "id", "is_binary", "key", "length", "probe", "ts_ns",
        "version",
    )  # fmt: skip

    def __init__(self, headers: list[tuple[bytes, bytes]], identity: tuple[str, int]) -> None:
        self.arrived_ns = time.perf_counter_ns()
        self.id, self.ts_ns = identity
        self.client_id: str | None = None
        self.content_type: bytes | None = None
        self.key: str | None = None
        self.probe: bytes | None = None
        self.encoding: bytes | None = None
        self.length: bytes | None = None
        self.is_binary = False
        self.version: int | None = None
        """The one version that may answer."""
        for name, value in headers:
            if name == b"content-type":
                self.content_type = value
            elif name == b"content-length":
                self.length = value
            elif name == b"x-request-id":
                self.client_id = value.decode("latin-1")[:LONGEST_CLIENT_ID]
            elif name == b"x-understudy-key":
                self.key = value.decode("latin-1")
            elif name == b"x-understudy-probe":
                self.probe = value
            elif name == b"content-encoding":
                self.encoding = value
            elif name == b"inference-header-content-length":
                self.is_binary = True


def row_of(  # noqa: PLR0917 - as it stands in the log
    call: Call, stamp: Stamp, item: Item, answer: Answer | None, queue_us: int, unit: str | None = None
) -> LogRow:
    """Write down how a request was answered."""
    return LogRow(
        request_id=call.id,
        client_id=call.client_id,
        ts_ns=call.ts_ns,
        epoch=stamp.epoch,
        role=stamp.role if call.probe is None else Role.PROBE,
        bundle=stamp.bundle,
        item=item,
        answer=answer,
        loss=None,
        queue_us=queue_us,
        total_us=(time.perf_counter_ns() - call.arrived_ns) // 1000,
        unit=unit,
    )


def lost_row(call: Call, item: Item, lost: Lost, answered: Answered | None) -> LogRow:
    """Write what a canary or its baseline did not answer. What the champion cannot answer either is no loss of it."""
    is_shared = lost.loss is MirrorLoss.FAILED and answered is not None and answered.answer.error is not None
    row = row_of(call, lost.stamp, item, lost.answer, 0, lost.unit)
    return row if is_shared else row._replace(loss=lost.loss)
