"""The public API of a gateway as an OpenAPI document: what it takes, and everything that it may answer."""

from typing import Any

from understudy import __version__
from understudy.gateway.log.labels import LONGEST_TEXT, MOST_LABELS

Schema = dict[str, Any]
JSON = "application/json"
TEXT: Schema = {"type": "string"}
NAMES: Schema = {"type": "array", "items": TEXT}
ALWAYS = {
    400: "The request cannot be read, or does not hold what is needed.",
    405: "This path does not take this method.",
    408: "The request did not arrive in time.",
    431: "The headers are too long.",
    500: "The gateway stumbled, or the model failed on rows that are well-formed.",
    503: "Nothing can answer at the moment, or there is no room.",
}
MODEL = {404: "No model of this name is served here."}
VERSION = {404: "No model of this name is served here, or this version of it answers nobody."}
BODY = {413: "The body is too large, or has too many rows."}
SCORING = {
    415: "The body is compressed, or of a type that is not taken.",
    429: "No more requests may wait.",
    504: "No answer within the model's time.",
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "minItems": 1, "items": items, **limits}


def _object(needed: dict[str, Schema], optional: dict[str, Schema] | None = None, **limits: Any) -> Schema:
    return {"type": "object", "required": list(needed), "properties": {**needed, **(optional or {})}, **limits}


def _answer(description: str, schema: Schema, headers: Schema | None = None) -> Schema:
    return {"description": description, "content": {JSON: {"schema": schema}}, "headers": headers or {}}


def _refusals(reasons: dict[int, str], problem: str) -> Schema:
    headers = {429: AGAIN, 503: AGAIN}
    return {str(status): _answer(why, _ref(problem), headers.get(status)) for status, why in reasons.items()}


def _get(
    summary: str, answer: Schema | None, problem: str, reasons: dict[int, str], *, also_503: bool = False
) -> Schema:
    """Describe a question; its answer is no JSON without a schema, and comes with 503 too where that says no."""
    said = {"description": summary} if answer is None else _answer(summary, answer)
    responses = {"200": said, **_refusals({**ALWAYS, **reasons}, problem)}
    if also_503:
        responses["503"] = said
    return {"get": {"summary": summary, "responses": responses}}


def _post(summary: str, bodies: dict[str, Schema], answer: Schema, problem: str, reasons: dict[int, str]) -> Schema:
    content = {media_type: {"schema": schema} for media_type, schema in bodies.items()}
    refusals = _refusals({**ALWAYS, **MODEL, **BODY, **reasons}, problem)
    request_id = {"name": "X-Request-Id", "in": "header", "schema": TEXT, "description": "The caller's own name of it."}
    return {
        "post": {
            "summary": summary,
            "parameters": [request_id, *([KEY] if 429 in reasons else [])],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": _answer(summary, answer, WHO if 429 in reasons else None), **refusals},
        }
    }


def _of_a_model(path: Schema, *more: str) -> Schema:
    names = ("model", *more)
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names], **path}


KEY: Schema = {
    "name": "X-Understudy-Key",
    "in": "header",
    "schema": TEXT,
    "description": "Whose requests are to stay with one version while a canary runs; for example the customer.",
}
AGAIN: Schema = {"Retry-After": {"required": True, "schema": {"type": "integer"}, "description": "In seconds."}}
WHO: Schema = {
    f"X-Understudy-{name}": {"required": True, "schema": schema}
    for name, schema in {
        "Request-Id": TEXT,
        "Version": {"type": "integer"},
        "Epoch": {"type": "integer"},
        "Role": {"enum": ["champion", "standby", "canary", "baseline", "asked"]},
    }.items()
}
CELL: Schema = {"type": ["number", "boolean", "string", "null"]}
RECORD: Schema = {"type": "object", "additionalProperties": CELL}
COLUMNS: Schema = {"type": "object", "additionalProperties": {"type": "array", "items": CELL}}
ROWS: Schema = {"anyOf": [_list(RECORD), COLUMNS, RECORD]}
SPLIT = _object(
    {"columns": {**NAMES, "uniqueItems": True}, "data": _list({"type": "array", "items": CELL})},
    {"index": {"type": "array"}},
    additionalProperties=False,
)
FORMS = {"dataframe_split": SPLIT, "dataframe_records": _list(RECORD), "instances": ROWS, "inputs": ROWS}
SHAPE: Schema = {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer"}}
TENSOR = _object({"name": TEXT, "shape": SHAPE, "datatype": TEXT, "data": {"type": "array"}})
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
LABEL = _object(
    {"label": {"type": ["number", "boolean", "string"], "maxLength": LONGEST_TEXT}},
    {
        "request_id": NAME,
        "client_id": NAME,
        "row": {"type": "integer", "minimum": 0, "maximum": MOST_LABELS - 1, "default": 0},
    },
    oneOf=[{"required": ["request_id"]}, {"required": ["client_id"]}],
    additionalProperties=False,
)
SCHEMAS = {
    "MlflowRequest": {"oneOf": [_object({name: form}) for name, form in FORMS.items()]},
    "MlflowAnswer": _object({"predictions": {"type": "array"}}),
    "MlflowProblem": _object({"error_code": TEXT, "message": TEXT}, additionalProperties=False),
    "V2Request": _object(
        {"inputs": _list(TENSOR)},
        {"id": {"type": "string", "maxLength": 256}, "outputs": _list(_object({"name": TEXT}))},
    ),
    "V2Answer": _object({"model_name": TEXT, "model_version": TEXT, "outputs": _list(TENSOR)}, {"id": TEXT}),
    "V2Problem": _object({"error": TEXT}, additionalProperties=False),
    "V2Kind": _object({"name": TEXT, "datatype": TEXT, "shape": {"type": "array", "items": {"type": "integer"}}}),
    "Labels": _object({"labels": _list(LABEL, maxItems=MOST_LABELS)}),
}
IS_READY: Schema = {"ready": {"type": "boolean"}}
KINDS = _list(_ref("V2Kind"))
HEALTH = _object(
    {"status": {"enum": ["ok", "degraded"]}, "name": TEXT, "models": {"type": "object"}, "truth": {"type": "object"}}
)
PING = "Ask if the model is served."
DESCRIBE, ASK_READY = "Describe what the model takes and gives.", "Ask if the model is ready."
INFER = _post(
    "Predict, in the Open Inference Protocol.", {JSON: _ref("V2Request")}, _ref("V2Answer"), "V2Problem", SCORING
)
DESCRIPTION = _object({"name": TEXT, "versions": NAMES, "platform": TEXT, "inputs": KINDS, "outputs": KINDS})
READINESS = _object({"name": TEXT, **IS_READY})
PATHS = {
    "/models/{model}/invocations": _of_a_model(
        _post(
            "Predict, in MLflow's protocol.",
            {JSON: _ref("MlflowRequest"), "text/csv": TEXT},
            _ref("MlflowAnswer"),
            "MlflowProblem",
            SCORING,
        )
    ),
    "/models/{model}/labels": _of_a_model(
        _post(
            "Say what turned out to be true; the last label of a row counts.",
            {JSON: _ref("Labels")},
            _object({"accepted": {"type": "integer", "minimum": 1}}),
            "MlflowProblem",
            {},
        )
    ),
    "/models/{model}/ping": _of_a_model(_get(PING, None, "MlflowProblem", MODEL)),
    "/models/{model}/health": _of_a_model(_get(PING, None, "MlflowProblem", MODEL)),
    "/models/{model}/version": _of_a_model(
        _get("Ask for the version of MLflow whose protocol this is.", None, "MlflowProblem", MODEL)
    ),
    "/v2/models/{model}/infer": _of_a_model(INFER),
    "/v2/models/{model}": _of_a_model(_get(DESCRIBE, DESCRIPTION, "V2Problem", MODEL)),
    "/v2/models/{model}/ready": _of_a_model(_get(ASK_READY, READINESS, "V2Problem", MODEL, also_503=True)),
    "/v2/models/{model}/versions/{version}/infer": _of_a_model(INFER, "version"),
    "/v2/models/{model}/versions/{version}": _of_a_model(_get(DESCRIBE, DESCRIPTION, "V2Problem", VERSION), "version"),
    "/v2/models/{model}/versions/{version}/ready": _of_a_model(
        _get(ASK_READY, READINESS, "V2Problem", VERSION, also_503=True), "version"
    ),
    "/v2": _get("Name the server.", _object({"name": TEXT, "version": TEXT, "extensions": NAMES}), "V2Problem", {}),
    "/v2/health/live": _get("Ask if the gateway lives.", _object({"live": {"const": True}}), "V2Problem", {}),
    "/v2/health/ready": _get("Ask if every model is ready.", _object(IS_READY), "V2Problem", {}, also_503=True),
    "/metrics": _get("Give the numbers that Prometheus collects.", None, "MlflowProblem", {}),
    "/health": _get("Say what serves, and everything that is not as it should be.", HEALTH, "MlflowProblem", {}),
}


def document() -> Schema:
    """Describe every public path; the admin API is for Understudy's own parts and is left out."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Understudy's gateway", "version": __version__},
        "paths": PATHS,
        "components": {"schemas": SCHEMAS},
    }
