"""Bodies that hypothesis makes: almost what a gateway takes, with a secret in them that no answer may repeat."""

import json

from hypothesis import strategies as st

SECRET = "zq7-anna-example-org"
CELLS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from([SECRET, "1.5", "nan", "1e400", 10**400, -(10**30), "1_000", "\ud800", ""]),
    ),
    lambda cells: st.lists(cells, max_size=3) | st.dictionaries(st.sampled_from(["a", SECRET]), cells, max_size=2),
    max_leaves=4,
)
NAMES = st.lists(st.sampled_from(["a", "b", "c", "c", SECRET]), max_size=4) | st.just(["a", "b", "c"])
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", SECRET]), CELLS, max_size=4), max_size=4)
COLUMNS = st.dictionaries(st.sampled_from(["a", "b", "c", SECRET]), st.lists(CELLS, max_size=3) | CELLS, max_size=4)
GOOD_RECORDS = st.lists(st.fixed_dictionaries({"a": CELLS, "b": st.floats(), "c": st.integers()}), max_size=3)
MLFLOW = st.one_of(
    st.fixed_dictionaries(
        {
            "dataframe_split": st.fixed_dictionaries(
                {"columns": NAMES, "data": st.lists(st.lists(CELLS, min_size=2, max_size=4) | CELLS, max_size=3)},
                optional={"index": CELLS},
            )
        }
    ),
    *(
        st.fixed_dictionaries({form: RECORDS | GOOD_RECORDS | COLUMNS | CELLS})
        for form in ("dataframe_records", "instances", "inputs")
    ),
    CELLS,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", SECRET]) | CELLS,
        "shape": st.lists(st.integers(-1, 4), max_size=3)
        | st.sampled_from([[1], [1, 3], [10**18], [2**63, 3]])
        | CELLS,
        "datatype": st.sampled_from(["FP64", "FP32", "INT64", "INT8", "UINT64", "BOOL", "BYTES", "FP16", SECRET])
        | CELLS,
        "data": st.lists(CELLS, max_size=4) | CELLS,
    }
)
V2 = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=4) | CELLS}, optional={"id": CELLS, "outputs": CELLS, "parameters": CELLS}
)
SPOILED = st.builds(
    lambda body, at, junk: body[: at % (len(body) + 1)] + junk + body[at % (len(body) + 1) :],
    st.one_of(MLFLOW, V2).map(lambda given: json.dumps(given).encode()),
    st.integers(0, 10_000),
    st.binary(max_size=4)
    | st.sampled_from([b"\xff", b"\x00", b"[" * 2000, b'{"a":' * 2000, b"1" * 5000, b"\xef\xbb\xbf"]),
)
CSV = st.builds(
    lambda head, rows: head + b"\n" + rows,
    st.sampled_from([b"a,b,c", b"a,b", b"a,b,c,d", b"a,a,b,c", b"", b'"a,b,c', b"\xff,b,c"]),
    st.binary(max_size=40) | st.text(alphabet='0123456789.,-\n"\r;eE', max_size=60).map(str.encode),
)
