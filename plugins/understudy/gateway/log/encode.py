"""How an answered request becomes a line: the bodies are embedded as they came, for the writer holds the GIL."""

import orjson

from understudy.contract.release import Bundle
from understudy.contract.words import Role
from understudy.gateway.exchange import Item, LogRow, Wire
from understudy.gateway.log.line import SCHEMA, seal
from understudy.gateway.log.redact import without

REFUSED_KEPT = 2048
NULL = b"null"
WIRES = {Wire.MLFLOW_JSON: b'"mlflow_json"', Wire.MLFLOW_CSV: b'"mlflow_csv"', Wire.V2_JSON: b'"v2_json"'}
REMEMBERED = 256
LONGEST_TEXT = 200


class Encoder:
    """Write rows as lines, without the columns that the model declares as personal."""

    def __init__(self, pii: tuple[str, ...]) -> None:
        self._pii = frozenset(pii)
        self._versions: dict[tuple[int, int, Role], tuple[Bundle, bytes]] = {}
        self._inputs: dict[int, tuple[bytes, bytes]] = {}

    def line(self, row: LogRow) -> bytes:
        """Write one row."""
        answer = row.answer
        if answer is None:
            status, rows, output, error, score_us, batch = NULL, 0, NULL, NULL, 0, 0
        else:
            status, rows, output = b"%d" % answer.status, answer.rows, _embedded(answer.output) or NULL
            error = NULL if answer.error is None else orjson.dumps(answer.error[:LONGEST_TEXT])
            score_us, batch = answer.score_us, answer.batch
        return seal(
            b'{"schema":%d,"kind":"row","request_id":%b,"client_id":%b,"ts_ns":%d,%b,"wire":%b,"input":%b,"redacted":%b,'
            b'"output":%b,"rows":%d,"status":%b,"error":%b,"loss":%b,"queue_us":%d,"score_us":%d,"total_us":%d,"batch":%d,'
            b'"unit":%b}'
            % (
                SCHEMA,
                orjson.dumps(row.request_id),
                NULL if row.client_id is None else orjson.dumps(row.client_id[:LONGEST_TEXT]),
                row.ts_ns,
                self._version(row),
                WIRES[row.item.wire],
                self._input(row),
                b"true" if self._pii else b"false",
                output,
                rows,
                status,
                error,
                NULL if row.loss is None else orjson.dumps(row.loss.value),
                row.queue_us,
                score_us,
                row.total_us,
                batch,
                NULL if row.unit is None else orjson.dumps(row.unit),
            )
        )

    def forget_bodies(self) -> None:
        """Let go of the bodies that the last lines shared."""
        self._inputs.clear()

    def _version(self, row: LogRow) -> bytes:
        key = (id(row.bundle), row.epoch, row.role)
        known = self._versions.get(key)
        if known is None:
            bundle = row.bundle
            facts = {
                "epoch": row.epoch,
                "role": row.role.value,
                "model": bundle.model,
                "version": bundle.version,
                "artefact_sha256": bundle.model_sha256,
                "code_commit": bundle.code_commit,
                "image_digest": bundle.image_digest,
                "data_version": bundle.data_version,
            }
            if len(self._versions) >= REMEMBERED:
                self._versions.clear()
            # The bundle is kept too: its id would otherwise come back as another's.
            known = self._versions[key] = (bundle, orjson.dumps(facts)[1:-1])
        return known[1]

    def _input(self, row: LogRow) -> bytes:
        item, answer = row.item, row.answer
        if answer is None:
            return NULL  # the champion's row of the same request holds it
        if 400 <= answer.status < 500:
            return NULL if self._pii else _text(item.body[:REFUSED_KEPT])
        shared = self._inputs.get(id(item.body))
        if shared is None:
            shared = self._inputs[id(item.body)] = (item.body, self._kept(item))
        return shared[1]

    def _kept(self, item: Item) -> bytes:
        if self._pii:
            try:
                return orjson.dumps(without(item.wire, item.body, self._pii))
            except (ValueError, LookupError, TypeError, AttributeError):
                return NULL  # what is personal in it cannot be told, so that nothing of it is kept
        if item.wire is Wire.MLFLOW_CSV:
            return _text(item.body)
        return _embedded(item.body) or _text(item.body)  # NaN and Infinity, which scoring reads and JSON knows not


def _embedded(body: bytes) -> bytes | None:
    if not body:
        return None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    # Within JSON's texts line breaks are escaped, so those that remain are mere white space.
    return body.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in body or b"\r" in body else body


def _text(body: bytes) -> bytes:
    return orjson.dumps(body.decode("utf-8", "replace"))
