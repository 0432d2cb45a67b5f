"""Write answers in the protocol that the request was written in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from understudy.contract.release import Bundle
from understudy.gateway.exchange import Wire
from understudy.gateway.scoring.predictor import Prediction
from understudy.gateway.scoring.read_v2 import OUTPUTS, V2Request

DATATYPES = {"b": "BOOL", "i": "INT64", "u": "UINT64", "f": "FP64"}


def respond(
    prediction: Prediction, request: V2Request | None, bundle: Bundle, classes: Sequence[bool | int | str]
) -> tuple[bytes, bytes]:
    """Write an answer: for the caller, and for the log, which also keeps the classes that probabilities belong to."""
    answers = prediction.answers.tolist()
    probabilities = None if prediction.probabilities is None else prediction.probabilities.tolist()
    kept: dict[str, Any] = {"predictions": answers, "probabilities": probabilities}
    output = orjson.dumps(kept if probabilities is None else {**kept, "classes": classes})
    if request is None:
        return orjson.dumps({"predictions": answers}), output
    wanted = request.outputs or OUTPUTS
    outputs = [_tensor("predict", prediction.answers)] if "predict" in wanted else []
    if prediction.probabilities is not None and "probabilities" in wanted:
        outputs.append(_tensor("probabilities", prediction.probabilities))
    repeated = {} if request.id is None else {"id": request.id}
    named = {"model_name": bundle.model, "model_version": str(bundle.version)}
    return orjson.dumps({**named, **repeated, "outputs": outputs}), output


def datatype_of(values: np.ndarray[Any, Any]) -> str:
    """Name the kind of answers as the V2 protocol does."""
    return DATATYPES.get(values.dtype.kind, "BYTES")


def _tensor(name: str, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    datatype = datatype_of(values)
    data = values.ravel().tolist()
    return {
        "name": name,
        "shape": list(values.shape),
        "datatype": datatype,
        "data": list(map(str, data)) if datatype == "BYTES" else data,
    }


def respond_error(wire: Wire, code: str, message: str) -> bytes:
    """Write an error: one sentence, without what the caller sent and without where in the code it happened."""
    if wire is Wire.V2_JSON:
        return orjson.dumps({"error": message})
    return orjson.dumps({"error_code": code, "message": message})
