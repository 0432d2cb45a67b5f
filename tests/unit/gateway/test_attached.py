"""What an engine sends of a container's output, in whatever pieces it arrives."""

import struct

import pytest

from understudy.gateway.attached import AttachedChannel, OutputPieces
from understudy.gateway.frames import pack


def piece(payload: bytes) -> bytes:
    return struct.pack(">BxxxL", 1, len(payload)) + payload


@pytest.mark.parametrize("size", [1, 3, 8, 9, 1000])
def test_pieces_are_joined_however_they_arrive(size: int) -> None:
    sent = piece(b"abc") + piece(b"") + piece(b"d" * 70_000) + piece(b"e")
    pieces = OutputPieces()
    found = b"".join(pieces.feed(sent[start : start + size]) for start in range(0, len(sent), size))
    assert found == b"abc" + b"d" * 70_000 + b"e"


def test_a_frame_may_span_pieces_and_a_piece_may_hold_frames() -> None:
    first, second, third = (pack({"seq": number}, [bytes(number * 100)]) for number in (1, 2, 3))
    channel = AttachedChannel()
    channel.data_received(piece(first[:7]) + piece(first[7:] + second + third[:3]))
    channel.data_received(piece(third[3:]))
    assert [(frame.header["seq"], len(frame.bodies)) for frame in channel._arrived] == [(1, 100), (2, 200), (3, 300)]
    assert channel.problem is None


def test_what_is_no_frame_ends_the_channel() -> None:
    channel = AttachedChannel()
    channel.data_received(piece(b"\xff" * 16))
    assert channel.problem is not None
    assert "announces" in channel.problem
