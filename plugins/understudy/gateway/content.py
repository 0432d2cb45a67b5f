"""In which protocol a request is written, by its content type."""

from understudy.gateway.errors import RequestRefused
from understudy.gateway.exchange import Wire

MLFLOW = {b"application/json": Wire.MLFLOW_JSON, b"text/csv": Wire.MLFLOW_CSV}
NO_BINARY = "The body must be application/json; the binary tensor extension is not supported."


def wire_of(content_type: bytes | None, is_v2: bool) -> Wire:
    """Tell the protocol. Raise RequestRefused with 400 where the type is missing, with 415 where it is another."""
    if is_v2:
        # V2 has one JSON form; its own clients send it without a type.
        if content_type is None or _media_type(content_type) == b"application/json":
            return Wire.V2_JSON
        raise RequestRefused(415, NO_BINARY)
    if content_type is None:
        raise RequestRefused(400, "The header Content-Type is missing. Send application/json or text/csv.")
    wire = MLFLOW.get(content_type) or MLFLOW.get(_media_type(content_type))
    if wire is None:
        raise RequestRefused(415, "The body must be application/json or text/csv.")
    return wire


def _media_type(content_type: bytes) -> bytes:
    media_type, *parameters = (part.strip() for part in content_type.lower().split(b";"))
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() != b"charset":
            raise RequestRefused(415, "The header Content-Type has a parameter other than charset.")
        if value.strip(b' "') not in {b"utf-8", b"utf8"}:
            raise RequestRefused(415, "The body must be in UTF-8.")
    return media_type
