"""Hand labels to the gateways, in batches, as any caller could."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from understudy.contract.errors import UnderstudyError
from understudy.hooks.places.gateway_client import GatewayClient
from understudy.hooks.places.gateway_errors import GatewayUnreachable

BATCH_ROWS = 20_000
SEND_S = 60.0


class LabelsRejected(UnderstudyError):
    """A gateway does not take a batch of labels; asking again gives the same answer."""

    def __init__(self, url: str, model: str, problem: str) -> None:
        self.url, self.model = url, model
        super().__init__(
            f"Gateway {url} takes no labels of {model}: {problem.rstrip('.')}. Correct monitor.labels or its source."
        )


def deliver_labels(urls: Sequence[str], model: str, path: Path) -> int:
    """Send a file of labels to every gateway; sending them again changes nothing, so a retry begins anew.

    :param path: a Parquet file of ``id`` (the caller's name of the request), ``row`` and ``label``.
    :return: how many labels every gateway took.
    :raises GatewayUnreachable: where one does not answer.
    :raises LabelsRejected: where one refuses them.
    """
    sent = 0
    for body, rows in _batches(path):
        for url in urls:
            _send(GatewayClient(url, None), model, body)
        sent += rows
    return sent


def _batches(path: Path) -> Iterator[tuple[bytes, int]]:
    import orjson
    import polars as pl

    for batch in pl.read_parquet(path).iter_slices(BATCH_ROWS):
        entries = [{"client_id": name, "row": row, "label": label} for name, row, label in batch.iter_rows()]
        yield orjson.dumps({"labels": entries}), len(entries)


def _send(client: GatewayClient, model: str, body: bytes) -> None:
    answer = client.call(f"/models/{model}/labels", body, SEND_S)
    if answer.status_code == 200:
        return
    told = " ".join(answer.text.split())[:500] or f"HTTP {answer.status_code}"
    if answer.status_code in {400, 404, 413, 422}:
        raise LabelsRejected(client.url, model, told)
    raise GatewayUnreachable(client.url, told)
