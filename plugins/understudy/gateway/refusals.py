"""How a refusal looks in each protocol: one sentence, never a trace, never the caller's data."""

import orjson

from understudy.gateway.exchange import Wire

# The names that MLflow's own clients know; see mlflow.protos.databricks_pb2.ErrorCode.
MLFLOW_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "BAD_REQUEST",
    408: "BAD_REQUEST",
    413: "INVALID_PARAMETER_VALUE",
    415: "BAD_REQUEST",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def refusal(wire: Wire, status: int, sentence: str) -> bytes:
    """Write a refusal in a request's protocol."""
    if wire is Wire.V2_JSON:
        return orjson.dumps({"error": sentence})
    return orjson.dumps({"error_code": MLFLOW_CODES.get(status, "BAD_REQUEST"), "message": sentence})
