"""Frames: whole requests out of a stream that arrives in any pieces, and nothing out of a lie."""

import socket
import threading

import pytest

from understudy.gateway import frames
from understudy.gateway.exchange import Answer, Item, Wire
from understudy.gateway.frames import (
    LENGTH,
    Frame,
    FrameBroken,
    FrameBuffer,
    pack,
    pack_answers,
    pack_items,
    read_answers,
    read_items,
    receive,
    unpack,
)

ITEMS = [Item(Wire.MLFLOW_JSON, b'{"a": 1}'), Item(Wire.V2_JSON, b""), Item(Wire.MLFLOW_CSV, b"x\n" * 5000)]
ANSWERS = [
    Answer(200, b"body", 2, b"output", 120, 3),
    Answer(400, b'{"error":"no"}', 0, b"", 5, 1, "RequestUnreadable"),
]


def frame_of(packed: bytes) -> Frame:
    return unpack(packed[LENGTH.size :])


def send_and_close(sock: socket.socket, data: bytes) -> None:
    with sock:
        sock.sendall(data)


@pytest.mark.parametrize("step", [1, 3, 7, 4096, 1 << 20])
def test_frames_come_out_whole_however_they_arrive(step: int) -> None:
    stream = pack_items(1, ITEMS) + pack({"kind": "hello"}) + pack_answers(2, ANSWERS)
    buffer, found = FrameBuffer(), []
    for start in range(0, len(stream), step):
        found += buffer.feed(stream[start : start + step])
    assert read_items(found[0]) == ITEMS
    assert found[1].header == {"kind": "hello"}
    assert read_answers(found[2], 2) == ANSWERS


def test_a_blocking_reader_gets_what_was_sent_and_then_learns_that_the_sender_is_gone() -> None:
    here, there = socket.socketpair()
    big = [Item(Wire.MLFLOW_JSON, b"x" * 3_000_000)]
    with here, there:
        sender = threading.Thread(target=send_and_close, args=(there, pack_items(7, big)))
        sender.start()
        frame = receive(here)
        assert frame is not None
        assert frame.header["seq"] == 7
        assert read_items(frame) == big
        assert receive(here) is None
        sender.join()


def test_half_a_frame_before_the_end_is_no_frame() -> None:
    here, there = socket.socketpair()
    with here:
        there.sendall(pack_items(1, ITEMS)[:-1])
        there.close()
        assert receive(here) is None


def test_a_length_beyond_the_limit_is_refused_before_memory_is_taken_for_it() -> None:
    with pytest.raises(FrameBroken, match="announces"):
        FrameBuffer().feed(LENGTH.pack(frames.LIMIT_BYTES + 1))


def test_a_frame_that_nobody_would_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LIMIT_BYTES", 1000)
    with pytest.raises(FrameBroken, match="limit"):
        pack_items(1, ITEMS)


@pytest.mark.parametrize("payload", [b"", b"\0\0", LENGTH.pack(9) + b"not json!", LENGTH.pack(2) + b"[]"])
def test_what_is_no_header_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameBroken):
        FrameBuffer().feed(LENGTH.pack(len(payload)) + payload)


GOOD = [200, 4, 1, 0, 10, 1, None]


@pytest.mark.parametrize(
    "listing",
    [
        None,
        [],
        [GOOD, GOOD],
        [[*GOOD, 1]],
        [[99, *GOOD[1:]]],
        [[200, 5, *GOOD[2:]]],
        [[200, -1, *GOOD[2:]]],
        [["200", *GOOD[1:]]],
        [[*GOOD[:6], 5]],
        [{"status": 200}],
    ],
    ids=str,
)
def test_answers_that_a_hostile_model_made_up_are_not_believed(listing: object) -> None:
    with pytest.raises(FrameBroken):
        read_answers(frame_of(pack({"seq": 1, "answers": listing}, [b"body"])), 1)
    assert read_answers(frame_of(pack({"seq": 1, "answers": [GOOD]}, [b"body"])), 1)[0].body == b"body"
