"""Others' clients get from a gateway what the model itself says, and understand how it refuses."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from tritonclient.http import (  # type: ignore[import-untyped]
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
)
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from tests.integration.real_gateway import MODEL, Running, Trained, lay_out, order_of, running
from understudy.stages.model.model_files import load_model

ROWS = pd.DataFrame(np.random.default_rng(7).normal(size=(20, 3)), columns=["a", "b", "c"])


class Served(NamedTuple):
    """A gateway with what its model answers to the rows, asked directly."""

    gateway: Running
    predictions: list[int]
    probabilities: np.ndarray[Any, Any]

    @property
    def address(self) -> str:
        return self.gateway.url.removeprefix("http://")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[Served]:
    model = load_model(trained[1][0])
    predictions, probabilities = model.predict(ROWS), model.predict_proba(ROWS)
    assert probabilities is not None
    assert set(predictions.tolist()) == {0, 1}
    with running(lay_out(tmp_path_factory.mktemp("home"), trained)) as gateway:
        gateway.serve(order_of(trained, 1, 1))
        yield Served(gateway, predictions.tolist(), probabilities)


class TestMlflow:
    """MLflow's own scoring client; our address is its host, port and the model's path."""

    @pytest.fixture
    def client(self, served: Served) -> Any:
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient

        host, port = served.address.split(":")
        return ScoringServerClient(host, f"{port}/models/{MODEL}")  # type: ignore[no-untyped-call]

    def test_it_gets_the_models_predictions(self, served: Served, client: Any) -> None:
        client.wait_server_ready(timeout=60)
        assert client.invoke(ROWS).get_predictions()[0].tolist() == served.predictions

    def test_records_do_as_well(self, served: Served, client: Any) -> None:
        assert client.invoke(ROWS.to_dict("records")).get_predictions()[0].tolist() == served.predictions

    def test_it_learns_the_version_of_the_protocol(self, client: Any) -> None:
        import mlflow

        assert client.get_version() == mlflow.__version__

    def test_it_tells_a_refusal_by_our_sentence(self, client: Any) -> None:
        with pytest.raises(Exception, match=r"error code 400.*lack the column 'c'"):
            client.invoke(ROWS.drop(columns="c"))


class TestTriton:
    """Triton's HTTP client, an existing one of the Open Inference Protocol, without its binary extension."""

    @pytest.fixture
    def client(self, served: Served) -> Iterator[Any]:
        with InferenceServerClient(served.address) as client:
            yield client

    def test_it_finds_server_and_model_ready(self, client: Any) -> None:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL)
        assert not client.is_model_ready("nobody")
        assert client.get_server_metadata()["name"] == "understudy"

    def test_it_gets_the_models_answers_for_what_the_metadata_ask_for(self, served: Served, client: Any) -> None:
        described = client.get_model_metadata(MODEL)
        assert described["versions"] == ["1"]
        inputs = []
        for tensor in described["inputs"]:
            values = ROWS[tensor["name"]].to_numpy()
            column = InferInput(tensor["name"], list(values.shape), tensor["datatype"])
            inputs.append(column.set_data_from_numpy(values, binary_data=False))
        answer = client.infer(MODEL, inputs, request_id="mine")
        assert answer.as_numpy("predict").tolist() == served.predictions
        assert np.allclose(answer.as_numpy("probabilities"), served.probabilities)
        told = answer.get_response()
        assert (told["id"], told["model_name"], told["model_version"]) == ("mine", MODEL, "1")
        outputs = {tensor["name"]: tensor["datatype"] for tensor in told["outputs"]}
        assert {tensor["name"]: tensor["datatype"] for tensor in described["outputs"]}.items() <= outputs.items()

    def test_one_matrix_and_one_output_do_as_well(self, served: Served, client: Any) -> None:
        matrix = InferInput("rows", list(ROWS.shape), "FP64")
        matrix.set_data_from_numpy(ROWS.to_numpy(), binary_data=False)
        wanted = InferRequestedOutput("predict", binary_data=False)
        answer = client.infer(MODEL, [matrix], outputs=[wanted])
        assert answer.as_numpy("predict").tolist() == served.predictions
        assert answer.as_numpy("probabilities") is None

    def test_it_asks_a_version_by_its_number(self, served: Served, client: Any) -> None:
        assert client.is_model_ready(MODEL, "1")
        assert not client.is_model_ready(MODEL, "2")
        assert client.get_model_metadata(MODEL, "1") == client.get_model_metadata(MODEL)
        matrix = InferInput("rows", list(ROWS.shape), "FP64").set_data_from_numpy(ROWS.to_numpy(), binary_data=False)
        assert client.infer(MODEL, [matrix], model_version="1").as_numpy("predict").tolist() == served.predictions
        with pytest.raises(InferenceServerException, match="answers nobody here"):
            client.infer(MODEL, [matrix], model_version="2")

    def test_it_tells_a_refusal_by_our_sentence(self, client: Any) -> None:
        column = InferInput("a", [20], "FP64").set_data_from_numpy(ROWS["a"].to_numpy(), binary_data=False)
        with pytest.raises(InferenceServerException, match="lack the column") as refused:
            client.infer(MODEL, [column])
        assert refused.value.status() == "400"

    def test_binary_tensors_are_refused_by_our_sentence(self, client: Any) -> None:
        column = InferInput("a", [20], "FP64").set_data_from_numpy(ROWS["a"].to_numpy(), binary_data=True)
        with pytest.raises(InferenceServerException, match="binary tensor extension is not supported"):
            client.infer(MODEL, [column])
