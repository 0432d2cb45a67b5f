"""MLflow's scoring protocol: on the same saved model, the same requests are accepted and the same numbers answered."""

import asyncio
import json
import math
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pandas as pd
import pytest

from understudy.contract.declaration.estimators import estimators_for
from understudy.contract.release import Bundle
from understudy.contract.words import MlTask
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.scoring.batch import Scoring
from understudy.gateway.scoring.load import load
from understudy.gateway.worker import WorkerStart
from understudy.stages.model.features import Features
from understudy.stages.model.model_files import save_model
from understudy.stages.model.pipeline import build_pipeline
from understudy.stages.model.scorer import ModelFacts, Scorer

COLUMNS = ["a", "b", "kind", "c"]
ROWS: list[list[Any]] = [[0.5, -1.25, "north", 3.0], [1.5, None, "south", -2.0], [-0.75, 0.25, "north", 1.0]]
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
COLUMNWISE = {name: [row[place] for row in ROWS] for place, name in enumerate(COLUMNS)}
MODELS = [
    (MlTask.BINARY, "logistic_regression"),
    (MlTask.MULTICLASS, "hist_gradient_boosting"),
    (MlTask.REGRESSION, "random_forest"),
    (MlTask.REGRESSION, "ridge"),
]


class Reply(NamedTuple):
    status: int
    predictions: list[Any] | None


class Pair(NamedTuple):
    """Both servers of one saved model."""

    mlflow: Callable[[bytes, str], Reply]
    ours: Scoring


def trained(task: MlTask, name: str, folder: Path) -> None:
    random = np.random.default_rng(5)
    rows = pd.DataFrame(random.normal(size=(200, 3)), columns=["a", "b", "c"])
    rows.insert(2, "kind", random.choice(["north", "south"], size=200).astype(object))
    rows.loc[1::9, "b"] = np.nan
    score = rows["a"].to_numpy() + rows["c"].to_numpy() ** 2
    classes = {MlTask.BINARY: (score > 1).astype(int), MlTask.MULTICLASS: np.digitize(score, [0, 1.5]).astype(str)}
    y = classes.get(task, score)
    features = Features(names=tuple(COLUMNS), texts=("kind",))
    typed = features.of(rows)
    params: dict[str, Any] = {"n_estimators": 10} if name == "random_forest" else {}
    model = build_pipeline(estimators_for(task)[name], features, params, seed=0).fit(typed, y)
    facts = ModelFacts(
        model="m",
        estimator=name,
        task=task,
        target="y",
        features=features,
        inputs=features.names,
        classes=tuple(np.unique(y).tolist()) if task.is_classification else (),
    )
    save_model(folder, Scorer(facts, model), typed, None, datetime(2024, 1, 1, tzinfo=timezone.utc))


def mlflow_server(folder: Path) -> Callable[[bytes, str], Reply]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        from mlflow.pyfunc import scoring_server

        app = scoring_server.init(mlflow.pyfunc.load_model(str(folder)))

    async def post(body: bytes, mime: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            return await client.post("/invocations", content=body, headers={"content-type": mime})

    def ask(body: bytes, mime: str) -> Reply:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            response = asyncio.run(post(body, mime))
        return Reply(response.status_code, response.json()["predictions"] if response.status_code == 200 else None)

    return ask


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: "-".join(map(str, model)))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("model") / "1"
    with pytest.MonkeyPatch.context() as patch:
        task, name = request.param
        trained(task, name, folder)
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # as its server does, and never takes back
        start = WorkerStart(bundle=BUNDLE, folder=str(folder), memory_bytes=0, max_rows=100)
        yield Pair(mlflow_server(folder), load(start).scoring)


BUNDLE = Bundle(
    model="m",
    version=1,
    model_sha256="0" * 64,
    image_digest="",
    code_commit="",
    spec_sha256="",
    data_version="",
    run="",
    reference_data="",
)


def split(columns: list[str], data: Any, **more: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data, **more}}


def with_cell(column: str, value: Any) -> dict[str, Any]:
    return {"dataframe_records": [{**RECORDS[0], column: value}, *RECORDS[1:]]}


def literal(text: bytes) -> bytes:
    return json.dumps(with_cell("a", "LITERAL")).encode().replace(b'"LITERAL"', text)


WITHOUT_C = [{name: value for name, value in record.items() if name != "c"} for record in RECORDS]
PLAIN = json.dumps({"dataframe_records": RECORDS}).encode()
ALIKE: dict[str, Any] = {
    "split": split(COLUMNS, ROWS),
    "split, reordered": split(COLUMNS[::-1], [row[::-1] for row in ROWS]),
    "split, one column more": split([*COLUMNS, "zz"], [[*row, "q"] for row in ROWS]),
    "split, one column less": split(COLUMNS[:-1], [row[:-1] for row in ROWS]),
    "split, with an index": split(COLUMNS, ROWS, index=[7, 7, 9]),
    "split, with a short index": split(COLUMNS, ROWS, index=[7]),
    "split, without columns": {"dataframe_split": {"data": ROWS}},
    "split, with another key": split(COLUMNS, ROWS, other=1),
    "split, empty": split(COLUMNS, []),
    "split, rows too long": split(COLUMNS, [[*ROWS[0], 1], ROWS[1]]),
    "split, a column twice": split([*COLUMNS, "a"], [[*row, 1.0] for row in ROWS]),
    "split, a list": {"dataframe_split": ROWS},
    "split, rows that are none": split(COLUMNS, [1, 2]),
    "split, null": split(COLUMNS, None),
    "records": {"dataframe_records": RECORDS},
    "records, one incomplete": {"dataframe_records": [RECORDS[0], WITHOUT_C[1]]},
    "records, all incomplete": {"dataframe_records": WITHOUT_C},
    "records, no list": {"dataframe_records": RECORDS[0]},
    "records, empty": {"dataframe_records": []},
    "records, empty objects": {"dataframe_records": [{}, {}]},
    "records, scalars": {"dataframe_records": [1, 2]},
    "records, lists": {"dataframe_records": ROWS},
    "instances, by row": {"instances": RECORDS},
    "instances, by column": {"instances": COLUMNWISE},
    "instances, one incomplete": {"instances": [RECORDS[0], WITHOUT_C[1]]},
    "instances, a matrix": {"instances": ROWS},
    "instances, one object": {"instances": RECORDS[0]},
    "inputs, by row": {"inputs": RECORDS},
    "inputs, by column": {"inputs": COLUMNWISE},
    "inputs, one object": {"inputs": RECORDS[0]},
    "inputs, columns of different lengths": {"inputs": {**COLUMNWISE, "a": [1.0]}},
    "inputs, nested": {"inputs": {name: [[value] for value in values] for name, values in COLUMNWISE.items()}},
    "inputs, null": {"inputs": None},
    "inputs, a text": {"inputs": "north"},
    "two fields": {"inputs": RECORDS, "instances": RECORDS},
    "no field": {"rows": RECORDS},
    "another field beside": {"dataframe_records": RECORDS, "other": 1},
    "parameters beside": {"dataframe_records": RECORDS, "params": {"x": 1}},
    "a list": RECORDS,
    "a number": b"1",
    "null": b"null",
    "nothing": b"",
    "half of it": PLAIN[:-9],
    "more than it": PLAIN + b"x",
    "bad UTF-8": PLAIN.replace(b"north", b"\xff"),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "nested 500 times": b'{"dataframe_split":' + b"[" * 500 + b"]" * 500 + b"}",
    "a key twice": PLAIN.replace(b'"a":', b'"a": 99, "a":'),
    "a field twice": b'{"dataframe_records": 1, ' + PLAIN[1:],
    "a whole number": with_cell("a", 3),
    "a great whole number": with_cell("a", 10**30),
    "a whole number beyond all": with_cell("a", 10**400),
    "true": with_cell("a", True),
    "a number as text": with_cell("a", " 1.5 "),
    "nan as text": with_cell("a", "nan"),
    "text for a number": with_cell("a", "abc"),
    "empty text for a number": with_cell("a", ""),
    "null for a number": with_cell("a", None),
    "NaN for a number": literal(b"NaN"),
    "a list for a number": with_cell("a", [1]),
    "an object for a number": with_cell("a", {"x": 1}),
    "an unknown category": with_cell("kind", "west"),
}
FRAME = pd.DataFrame(ROWS, columns=COLUMNS)
CSV = FRAME.to_csv(index=False)
ALIKE_CSV = {
    "csv": CSV,
    "csv, with labels": FRAME.to_csv(),
    "csv, one column more": FRAME.assign(zz="q").to_csv(index=False),
    "csv, one column less": FRAME.drop(columns="c").to_csv(index=False),
    "csv, header only": ",".join(COLUMNS) + "\n",
    "csv, nothing": "",
    "csv, text for a number": CSV.replace("0.5", "abc", 1),
    "csv, one row too long": CSV + "1,2,north,3,4\n",
    "csv, one row too short": CSV + "1,2\n",
    "csv, an open quote": '"' + CSV,
    "csv, byte order mark": "\ufeff" + CSV,
    "csv, semicolons": FRAME.to_csv(index=False, sep=";"),
}
# MLflow fails on its side of the contract here, or guesses; a retraining system must do neither.
DIFFERENT: dict[str, tuple[Any, int, int]] = {
    "nested 100,000 times: MLflow's parser runs out of stack": (
        b'{"dataframe_split":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        500,
        400,
    ),
    "rows too short: MLflow takes what is absent for missing": (split(COLUMNS, [ROWS[0], ROWS[1][:-1]]), 200, 400),
    "rows that are objects: MLflow ignores `columns`": (split(COLUMNS, RECORDS), 200, 400),
    "a scalar among columns: MLflow repeats it for each row": ({"inputs": {**COLUMNWISE, "a": 1.0}}, 200, 400),
    "uneven columns that no model needs: MLflow stumbles over them": (
        {"instances": [{**RECORDS[0], "zz": 1}, RECORDS[1]]},
        400,
        200,
    ),
    "true as text: training reads it as 1": (with_cell("a", "true"), 400, 200),
    "half a surrogate pair: the pandas of Python 3.10 holds text that no file can": (
        PLAIN.replace(b"north", b"\\ud800"),
        200 if pd.__version__.startswith("2.") else 400,
        400,
    ),
}


def body_of(given: Any) -> bytes:
    return given if isinstance(given, bytes) else json.dumps(given).encode()


def ours_to(pair: Pair, body: bytes, wire: Wire) -> Reply:
    answer = pair.ours([Item(wire, body)])[0]
    said = json.loads(answer.body)
    if answer.status != 200:
        assert set(said) == {"error_code", "message"}
    return Reply(answer.status, said.get("predictions"))


def assert_alike(ours: Reply, theirs: Reply) -> None:
    assert ours.status == theirs.status
    if theirs.predictions is not None and isinstance(theirs.predictions[0], float):
        assert ours.predictions == pytest.approx(theirs.predictions, rel=1e-12)
    else:
        assert ours.predictions == theirs.predictions


@pytest.mark.parametrize("case", ALIKE)
def test_json_is_accepted_refused_and_answered_as_by_mlflow(pair: Pair, case: str) -> None:
    body = body_of(ALIKE[case])
    assert_alike(ours_to(pair, body, Wire.MLFLOW_JSON), pair.mlflow(body, "application/json"))


@pytest.mark.parametrize("case", ALIKE_CSV)
def test_csv_is_accepted_refused_and_answered_as_by_mlflow(pair: Pair, case: str) -> None:
    body = ALIKE_CSV[case].encode()
    assert_alike(ours_to(pair, body, Wire.MLFLOW_CSV), pair.mlflow(body, "text/csv"))


@pytest.mark.parametrize("case", DIFFERENT)
def test_where_mlflow_fails_or_guesses_we_differ_on_purpose(pair: Pair, case: str) -> None:
    given, theirs, ours = DIFFERENT[case]
    body = body_of(given)
    assert pair.mlflow(body, "application/json").status == theirs
    assert ours_to(pair, body, Wire.MLFLOW_JSON).status == ours


def test_infinite_numbers_are_missing_as_they_were_in_training(pair: Pair) -> None:
    missing = ours_to(pair, body_of(with_cell("a", None)), Wire.MLFLOW_JSON)
    assert missing.status == 200
    for text in (b"1e400", b"-Infinity"):
        assert ours_to(pair, literal(text), Wire.MLFLOW_JSON) == missing


def test_a_category_is_text_as_it_was_in_training(pair: Pair) -> None:
    as_text = [ours_to(pair, body_of(with_cell("kind", value)), Wire.MLFLOW_JSON) for value in (7, "7", None)]
    assert [reply.status for reply in as_text] == [200, 200, 200]
    assert as_text[0] == as_text[1]


def test_csv_rows_longer_than_the_header_are_not_shifted_as_by_mlflow(pair: Pair) -> None:
    head, *rows = CSV.splitlines()
    body = "\n".join([head, *(f"9,{row}" for row in rows)]).encode()
    assert pair.mlflow(body, "text/csv").status == 200
    assert ours_to(pair, body, Wire.MLFLOW_CSV).status == 400


def test_nothing_that_a_caller_sends_is_our_failure(pair: Pair) -> None:
    random = np.random.default_rng(11)
    for _ in range(400):
        body = bytearray(PLAIN)
        for place in random.integers(len(body), size=int(random.integers(1, 6))):
            body[place] = int(random.integers(256))
        for wire in Wire:
            answer = pair.ours([Item(wire, bytes(body))])[0]
            assert answer.status in {200, 400, 413}, bytes(body)
            assert all(math.isfinite(x) for x in json.loads(answer.body).get("predictions", []) if type(x) is float)
