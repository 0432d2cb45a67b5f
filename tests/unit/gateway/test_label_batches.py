"""A batch of labels as callers send it: what is read, and what is refused with an example."""

import time

import pytest

from understudy.gateway.log.labels import LabelsRefused, parse_labels


def test_a_batch_of_labels_is_read() -> None:
    before = time.time_ns()
    found = parse_labels(b'{"labels":[{"request_id":"a","label":1},{"client_id":"b","row":3,"label":"up"}]}')
    assert [(entry.request_id, entry.client_id, entry.row, entry.value) for entry in found] == [
        ("a", None, 0, 1),
        (None, "b", 3, "up"),
    ]
    assert found[0].ts_ns >= before


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"[1]", "no list"),
        (b'{"labels":[]}', "no list"),
        (b'{"labels":[1]}', "not an object"),
        (b'{"labels":[{"label":1}]}', "needs a request_id or a client_id"),
        (b'{"labels":[{"request_id":"a","client_id":"b","label":1}]}', "not both"),
        (b'{"labels":[{"request_id":"","label":1}]}', "1 to 200"),
        (b'{"labels":[{"request_id":"a"}]}', "label is not"),
        (b'{"labels":[{"request_id":"a","label":null}]}', "label is not"),
        (b'{"labels":[{"request_id":"a","label":[1]}]}', "label is not"),
        (b'{"labels":[{"request_id":"a","label":NaN}]}', "not JSON"),
        (b'{"labels":[{"request_id":"a","label":1,"row":-1}]}', "row is not"),
        (b'{"labels":[{"request_id":"a","label":1,"row":true}]}', "row is not"),
        (b'{"labels":[{"request_id":"a","label":1,"rwo":1}]}', "unknown field"),
        (b'{"labels":[' + b'{"request_id":"a","label":1},' * 100_000 + b'{"request_id":"a","label":1}]}', "more than"),
    ],
)
def test_a_batch_of_labels_with_a_mistake_is_refused_with_an_example(body: bytes, told: str) -> None:
    with pytest.raises(LabelsRefused, match=told) as refused:
        parse_labels(body)
    assert '"request_id"' in str(refused.value)
