"""Labels from a file at a real gateway: taken once however often they are sent, and refused in a sentence."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.integration.real_gateway import MODEL, Trained, lay_out, running
from understudy.contract.serving import ServingOrder
from understudy.hooks.places.gateway_errors import GatewayUnreachable
from understudy.hooks.traffic import label_delivery
from understudy.hooks.traffic.label_delivery import LabelsRejected, deliver_labels


def labels(folder: Path, **columns: list[object]) -> Path:
    path = folder / "labels.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def test_labels_of_a_file_are_joined_to_what_was_answered(
    tmp_path: Path, trained: Trained, order: Callable[..., ServingOrder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_delivery, "BATCH_ROWS", 2)
    path = labels(tmp_path, id=["a", "b", "nobody's"], row=[0, 0, 0], label=[1, 0, 1])
    with running(lay_out(tmp_path, trained)) as gateway:
        gateway.serve(order(1, 1))
        for name in ("a", "b", "c"):
            assert gateway.score(**{"X-Request-Id": name}).status_code == 200
        for _ in range(2):  # a task that is tried again sends everything again
            assert deliver_labels([gateway.url], MODEL, path) == 3
        rows = gateway.log().sort("client_id")
        assert rows.select("client_id", "label").rows() == [("a", 1), ("b", 0), ("c", None)]


def test_a_label_that_no_gateway_could_keep_is_refused_for_good(
    tmp_path: Path, trained: Trained, order: Callable[..., ServingOrder]
) -> None:
    path = labels(tmp_path, id=["a"], row=[0], label=["x" * 1000])
    with running(lay_out(tmp_path, trained)) as gateway:
        gateway.serve(order(1, 1))
        with pytest.raises(LabelsRejected, match=r"takes no labels of .*: .*label is not a number.*monitor\.labels"):
            deliver_labels([gateway.url], MODEL, path)
        with pytest.raises(LabelsRejected, match="No model of this name"):
            deliver_labels([gateway.url], "nobody", path)


def test_a_gateway_that_is_gone_is_worth_another_try(tmp_path: Path) -> None:
    path = labels(tmp_path, id=["a"], row=[0], label=[1])
    with pytest.raises(GatewayUnreachable):
        deliver_labels(["http://127.0.0.1:9"], MODEL, path)
