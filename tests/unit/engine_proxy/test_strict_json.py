"""JSON that two parsers might read differently is not read at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.engine_proxy.refusals import Unreadable
from understudy.engine_proxy.strict_json import read_object, write

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b'{"a":1,"a":2}', "'a' twice", id="a key twice"),
        pytest.param(b'{"x":{"Binds":[],"binds":["/:/host"]}}', "'binds' twice", id="a key twice, in another case"),
        pytest.param(b'{"binds":[],"Binds":["/:/host"]}', "'Binds' twice", id="a key twice, the engine's last"),
        pytest.param('{"Bindſ":[]}'.encode(), "not in ASCII", id="a long s"),
        pytest.param('{"Networ\u212aMode":""}'.encode(), "not in ASCII", id="the sign for Kelvin"),
        pytest.param(rb'{"Bind\u017f":[]}', "not in ASCII", id="a long s behind an escape"),
        pytest.param(rb'{"\u0061":1,"a":2}', "twice", id="a key twice, once behind an escape"),
        pytest.param(b'{"a":1}{"b":2}', "broken", id="something after it"),
        pytest.param(b'{"a":1}\x00', "broken", id="a zero after it"),
        pytest.param(b'{"a":NaN}', "no number", id="no number"),
        pytest.param(b"[]", "not an object", id="a list"),
        pytest.param(b"null", "not an object", id="nothing"),
        pytest.param(b"", "broken", id="no text"),
        pytest.param(b'{"a":"\xff"}', "broken", id="no UTF-8"),
        pytest.param('{"a":1}'.encode("utf-16"), "broken", id="UTF-16"),
        pytest.param('{"a":1}'.encode("utf-8-sig"), "broken", id="a mark before it"),
        pytest.param(b"[" * 60_000, "broken", id="deeper than anyone reads"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_object(text)


@given(st.dictionaries(st.text(max_size=3), VALUES))
def test_what_is_read_is_what_every_parser_reads(told: dict[str, object]) -> None:
    try:
        read = read_object(json.dumps(told).encode())
    except Unreadable:
        return
    assert read == told
    assert write(read).isascii()
    assert json.loads(write(read)) == told
