from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.contract.entry_point import mark
from understudy.runners.log_lines import LINE_LIMIT_BYTES, STDERR, STDOUT, frame, frames, lines
from understudy.runners.protocol import LogLine


def texts(*chunks: tuple[int, bytes]) -> list[tuple[int, str]]:
    return [(line.level, line.text) for line in lines(iter(chunks))]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([(STDOUT, b"a\nb\n")], [(20, "a"), (20, "b")]),
        ([(STDOUT, b"ha"), (STDERR, b"err\n"), (STDOUT, b"lf\n")], [(30, "err"), (20, "half")]),
        ([(STDERR, b"\r10%\r20%\n")], [(30, "10%"), (30, "20%")]),
        ([(STDOUT, b"windows\r\n\r\nlines\r\n")], [(20, "windows"), (20, "lines")]),
        ([(STDERR, mark(40, "x\ny").encode())], [(40, "x"), (40, "y")]),
        ([(STDOUT, b"no newline")], [(20, "no newline")]),
        ([(STDOUT, "ü".encode()[:1]), (STDOUT, "ü".encode()[1:])], [(20, "ü")]),
        ([(STDOUT, b"\xff\n")], [(20, "\ufffd")]),
    ],
)
def test_lines_end_by_newline_or_carriage_return_and_keep_their_level(
    chunks: list[tuple[int, bytes]], expected: list[tuple[int, str]]
) -> None:
    assert texts(*chunks) == expected


def test_a_line_without_end_is_cut() -> None:
    found = texts(*[(STDOUT, b"x" * 10_000)] * 10)
    assert all(len(text) <= LINE_LIMIT_BYTES for _, text in found)


def test_a_line_is_passed_on_before_the_next_chunk_is_asked_for() -> None:
    asked = []

    def chunks() -> Iterator[tuple[int, bytes]]:
        for number in range(3):
            asked.append(number)
            yield STDOUT, b"line\n"

    stream = lines(chunks())
    assert next(stream) == LogLine(level=20, text="line")
    assert asked == [0]


@given(st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(min_size=1, max_size=50))), st.integers(0, 40))
def test_frames_survive_the_trip_and_a_broken_off_end(sent: list[tuple[int, bytes]], cut: int) -> None:
    raw = b"".join(frame(stream, payload) for stream, payload in sent)
    raw = raw[: len(raw) - cut]
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        position += size
        return raw[position - size : position]

    found = list(frames(read))
    assert found[:-1] == sent[: max(0, len(found) - 1)]
    if cut == 0:
        assert found == sent
