"""Sources that cannot be used: one sentence that names the field or file and the way out."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.stage import StageRequest
from understudy.infer import infer_spec
from understudy.infer.errors import CannotInfer
from understudy.stages import Refused, StageContext
from understudy.stages.errors import DatabaseUnreachable
from understudy.stages.read.read_query import read_query
from understudy.stages.snapshot import run

GOOD = "at,price,class\n2026-01-01,1,a\n2026-01-02,2,b\n"
MANY = ",".join(f"c{index}" for index in range(10_000))


def refusal(
    folder: Path,
    content: bytes | str,
    name: str = "window.csv",
    secrets: dict[str, str] | None = None,
    params: dict[str, Any] | None = None,
    **data: Any,
) -> Refused:
    declared = {"source": name, "target": "class", "time": "at", **data}
    spec = ModelSpec.model_validate(
        {
            "model": "m",
            "owner": "o",
            "task": "binary_classification",
            "gates": [{"metric": "roc_auc"}],
            "data": {key: value for key, value in declared.items() if value is not None},
            "split": {"method": "time" if declared["time"] else "random"},
        }
    )
    key = f"source-0{''.join(Path(name).suffixes)}"
    (folder / key).write_bytes(content if isinstance(content, bytes) else content.encode())
    outputs = folder / "outputs"
    outputs.mkdir()
    request = StageRequest(
        stage="snapshot",
        model="m",
        run="r",
        as_of=datetime(2026, 2, 1, tzinfo=timezone.utc),
        spec=spec.model_dump(mode="json"),
        params={"sources": {key: name}, **(params or {})},
    )
    with pytest.raises(Refused) as refused:
        run(StageContext(request, {key: folder / key} if spec.data.source else {}, outputs, secrets or {}))
    assert list(outputs.iterdir()) == []
    assert "\n" not in refused.value.message
    return refused.value


@pytest.mark.parametrize(
    ("content", "data", "expected", "field"),
    [
        (
            GOOD,
            {"target": "clas"},
            r"data.target: 'clas' is not a column of window.csv; did you mean 'class'",
            "data.target",
        ),
        (GOOD, {"time": "att"}, r"data.time: 'att' .* did you mean 'at'", "data.time"),
        (GOOD, {"drop": ["prise"]}, r"data.drop: 'prise' .* did you mean 'price'", "data.drop"),
        (
            GOOD,
            {"time": "class", "target": "price"},
            r"2 of 2 values of 'class' .* for example 'a', 'b'; set data.time_format",
            "data.time",
        ),
        (GOOD.replace("2026-01-02", ""), {}, r"1 of 2 rows of window.csv have nothing in 'at'", "data.time"),
        (
            GOOD.replace("-01-0", "/0").replace("2026/01", "01/02/2026").replace("2026/02", "03/02/2026"),
            {},
            r"day/month or month/day",
            "data.time_format",
        ),
        (GOOD, {"time_format": "%d.%m.%Y"}, r"2 of 2 values of 'at' .* for example '2026-01-01'", "data.time"),
        (GOOD, {"time_format": "%Y-%m-%d %M"}, r"'%Y-%m-%d %M' is no usable pattern", "data.time_format"),
        ("", {}, r"window.csv is empty \(0 bytes\)", "data.source"),
        ("\n\n", {}, r"window.csv holds no text", "data.source"),
        ("at,price,class\n", {}, r"window.csv holds no rows", "data.source"),
        ("at,price,class\n2026-01-01,1,a\n", {}, r"gives 1 row", "data.source"),
        (GOOD + "2026-01-03,3\n", {}, r"ragged: line 4 has 2 fields where the header has 3", "data.source"),
        (GOOD + "2026-01-03,3,a,x\n", {}, r"ragged: line 4 has 4 fields where the header has 3", "data.source"),
        (GOOD + '2026-01-03,"x\ny"\n', {}, r"ragged: line 5 has 2 fields", "data.source"),
        (GOOD + '2026-01-03,"open,a\n', {}, r"is a quote left open", "data.source"),
        (GOOD.replace("\n", "\r"), {}, r"ends its lines with carriage returns alone; save it with", "data.source"),
        ("at,price,price,class\n2026-01-01,1,1,a\n", {}, r"the column 'price' more than once", "data.source"),
        ("at,,class\n2026-01-01,1,a\n", {}, r"no name for column 2 of 3", "data.source"),
        (f"at,class,{MANY}\n", {}, r"has 10,002 columns; at most 2,000", "data.source"),
        ("<!DOCTYPE html><html><body>Sign in</body></html>", {}, r"is a web page, not data", "data.source"),
        (
            "at,price,class\n2026-01-01,1,café\n".encode("latin-1"),
            {},
            r"not UTF-8 text: line 2, byte 31; .*`encoding: latin-1`",
            "data.encoding",
        ),
        (
            GOOD.encode("utf-16"),
            {},
            r"not UTF-8 text: line 1, byte 0; its first bytes are those of UTF-16, set `encoding: utf-16`",
            "data.encoding",
        ),
        (GOOD, {"encoding": "klingon"}, r"encoding 'klingon' is unknown", "data.encoding"),
        (
            GOOD,
            {"classes": {"forbidden": ["price"]}},
            r"holds the column 'price', which must not arrive",
            "data.classes.forbidden",
        ),
    ],
)
def test_a_bad_csv_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes | str, data: dict[str, Any], expected: str, field: str
) -> None:
    refused = refusal(tmp_path, content, **data)
    assert re.search(expected, refused.message), refused.message
    assert refused.field == field


def test_the_byte_of_a_wrong_character_is_right_far_into_a_large_file(tmp_path: Path) -> None:
    head = ("at,price,class\n" + "2026-01-01,1,äö\n" * 100_000).encode()
    refused = refusal(tmp_path, head + b"2026-01-02,2,\xe9\n")
    assert f"line 100002, byte {len(head) + 13:,}" in refused.message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("window.csv.gz", b"at,price\n", r"ends in .gz but is not a gzip file"),
        ("window.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-9], r"damaged gzip"),
        ("window.csv.gz", gzip.compress(b"", mtime=0), r"empty inside its gzip"),
        ("window.parquet", b"at,price\n", r"not a readable Parquet file"),
    ],
)
def test_a_damaged_container_is_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    assert re.search(expected, refusal(tmp_path, content, name).message)


def zipped(content: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("window.csv", content)
    return body.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("window.csv.bz2", bz2.compress(GOOD.encode()), "is compressed with bzip2"),
        ("window.csv.bz2", bz2.compress(b""), "is compressed with bzip2"),
        ("window.csv.zip", zipped(GOOD.encode()), "is compressed with zip"),
        ("window.csv", lzma.compress(GOOD.encode()), "is compressed with xz"),
        ("window.parquet", lzma.compress(GOOD.encode()), "is compressed with xz"),
        ("window.csv.gz", lzma.compress(GOOD.encode()), "is compressed with xz"),
    ],
)
def test_another_compression_than_gzip_is_named_by_init_and_snapshot(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    refused = refusal(tmp_path, content, name)
    assert refused.message == f"{name} {said}, which is not read; unpack it, or compress it with gzip"
    assert refused.field == "data.source"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CannotInfer) as caught:
        infer_spec(tmp_path / name, "class", "at")
    assert str(caught.value) == refused.message


def test_a_workbook_is_to_be_saved_as_csv(tmp_path: Path) -> None:
    refused = refusal(tmp_path, zipped(b""), "window.xlsx")
    assert refused.message == "window.xlsx is a workbook, which is not read; save its sheet as CSV"


def test_a_column_named_like_a_compression_is_no_compression(tmp_path: Path) -> None:
    assert "is not a column" in refusal(tmp_path, "BZh9,PK\n1,2\n").message


def test_an_empty_window_names_what_the_source_holds(tmp_path: Path) -> None:
    refused = refusal(tmp_path, GOOD, params={"start": "2027-01-01", "end": "2027-02-01"})
    assert (
        "no rows in the window from 2027-01-01 00:00 UTC to 2027-02-01 00:00 UTC; its times run from 2026-01-01 "
        "00:00 UTC to 2026-01-02 00:00 UTC" in refused.message
    )
    assert refused.field == "data.window"


@pytest.mark.parametrize(
    ("query", "url", "expected"),
    [
        ("SELEKT 1", "sqlite://", r"data.query: the database rejects it: near \"SELEKT\""),
        ("SELECT 1 AS at, 2 AS at", "sqlite://", r"column 'at' more than once"),
        ("CREATE TABLE t (x INT)", "sqlite://", r"returns no rows; write a SELECT"),
        (
            "SELECT 1 AS n, 1 AS v UNION ALL SELECT 2, x'00'",
            "sqlite://",
            r"data.query: its column 'v' holds values that fit no one type; CAST them to one in the query",
        ),
        ("SELECT 1", "nosuchdb://user:hunter2@host/db", r"data.connection: its address is no SQLAlchemy URL"),
        ("SELECT 1", "not a url", r"data.connection: its address is no SQLAlchemy URL"),
    ],
)
def test_a_bad_query_is_refused_without_the_secret(tmp_path: Path, query: str, url: str, expected: str) -> None:
    refused = refusal(tmp_path, "", source=None, query=query, connection="shop", secrets={"connection_url": url})
    assert re.search(expected, refused.message), refused.message
    assert "hunter2" not in refused.message


def test_a_database_that_does_not_answer_is_a_sentence_and_no_refusal() -> None:
    with pytest.raises(DatabaseUnreachable, match=r"^data\.connection: the database cannot be reached") as caught:
        read_query("postgresql://ann:geheim@127.0.0.1:1/none?connect_timeout=2", "SELECT 1", None, None)
    assert "geheim" not in str(caught.value)
    assert "sqlalche.me" not in str(caught.value)
    assert "\n" not in str(caught.value)
