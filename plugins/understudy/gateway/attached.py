"""Frames from a container: the engine cuts its standard output into pieces and puts a header before each."""

import struct

from understudy.gateway.frames import FrameChannel

HEADER = struct.Struct(">4xL")  # which stream, which is always the output as nothing else is asked for, and how long


class OutputPieces:
    """Take the headers out of what an engine sends, however it arrives."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Add what arrived and give what the container wrote."""
        written: list[memoryview] = []
        rest = memoryview(data)
        while rest:
            if self._left:
                piece, rest = rest[: self._left], rest[self._left :]
                self._left -= len(piece)
                written.append(piece)
                continue
            missing = HEADER.size - len(self._header)
            self._header += rest[:missing]
            rest = rest[missing:]
            if len(self._header) == HEADER.size:
                (self._left,) = HEADER.unpack(self._header)
                self._header.clear()
        return b"".join(written)


class AttachedChannel(FrameChannel):
    """Exchange frames with a process by the standard input and output of its container."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces = OutputPieces()

    def data_received(self, data: bytes) -> None:
        """Hand over the frames that are whole."""
        super().data_received(self._pieces.feed(data))
