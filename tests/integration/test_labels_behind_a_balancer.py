"""A label finds the replica that answered, whichever gets it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.integration.real_gateway import MODEL, PATIENCE_S, TOKEN, Running, Trained, lay_out, order_of, running, until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Iterator[tuple[Running, Running]]:
    ports = {name: free_port() for name in ("east", "west")}
    peers = tuple(f"http://127.0.0.1:{port}" for port in ports.values())
    with ExitStack() as stack:
        east, west = (
            stack.enter_context(
                running(lay_out(tmp_path_factory.mktemp(name), trained), name=name, port=port, peers=peers)
            )
            for name, port in ports.items()
        )
        for gateway in (east, west):
            gateway.serve(order_of(trained, 1, 1))
        yield east, west


def send(gateway: Running, request_id: str, label: int, **headers: str) -> httpx.Response:
    body = {"labels": [{"request_id": request_id, "row": 0, "label": label}]}
    return httpx.post(f"{gateway.url}/models/{MODEL}/labels", json=body, headers=headers, timeout=PATIENCE_S)


def labels(gateway: Running, request_id: str) -> list[int]:
    rows = gateway.log()
    found: list[int] = rows.filter((rows["request_id"] == request_id) & rows["label"].is_not_null())["label"].to_list()
    return found


def kept_lines(gateway: Running) -> int:
    folder = gateway.home / "gateway" / "log" / MODEL / "labels"
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*") if path.is_file())


def test_a_label_reaches_whoever_answered(replicas: tuple[Running, Running]) -> None:
    east, west = replicas
    asked = {gateway: gateway.score().headers["x-understudy-request-id"] for gateway in replicas}
    for gateway, request_id in asked.items():
        until(lambda gateway=gateway, request_id=request_id: request_id in set(gateway.log()["request_id"]))  # type: ignore[misc]
    before = [kept_lines(gateway) for gateway in replicas]
    assert send(west, asked[east], 1).json() == {"accepted": 1}
    assert send(west, asked[west], 0).json() == {"accepted": 1}
    assert (labels(east, asked[east]), labels(west, asked[west])) == ([1], [0])
    # Each keeps each once, though each is its own peer as well.
    assert [kept_lines(gateway) - had for gateway, had in zip(replicas, before, strict=True)] == [2, 2]
    # The last one counts, by whatever way it came.
    assert send(east, asked[east], 0).status_code == 200
    assert labels(east, asked[east]) == [0]


def test_whoever_has_another_token_hands_nothing_over(replicas: tuple[Running, Running]) -> None:
    refused = send(replicas[0], "r", 1, **{"x-understudy-relay": "guess"})
    assert refused.status_code == 401
    assert TOKEN.get_secret_value() not in refused.text


def test_bad_labels_are_refused_before_anybody_gets_them(replicas: tuple[Running, Running]) -> None:
    east, west = replicas
    before = kept_lines(west)
    answer = httpx.post(f"{east.url}/models/{MODEL}/labels", content=b"{", timeout=PATIENCE_S)
    assert answer.status_code == 400
    assert kept_lines(west) == before


def test_a_replica_that_is_gone_is_said_and_sending_again_completes_it(tmp_path: Path, trained: Trained) -> None:
    ports = [free_port(), free_port()]
    peers = tuple(f"http://127.0.0.1:{port}" for port in ports)
    homes = [lay_out(tmp_path / name, trained) for name in ("east", "west")]
    with running(homes[0], name="east", port=ports[0], peers=peers) as east:
        east.serve(order_of(trained, 1, 1))
        with running(homes[1], name="west", port=ports[1], peers=peers) as west:
            west.serve(order_of(trained, 1, 1))
            request_id = west.score().headers["x-understudy-request-id"]
            until(lambda: request_id in set(west.log()["request_id"]))
            west.process.kill()
        answer = send(east, request_id, 1)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "not by 1 of the other gateways" in answer.json()["message"]
        health = httpx.get(f"{east.url}/health", timeout=PATIENCE_S).json()
        assert health["labels_not_taken"] == {peers[1]: 1}
        with running(homes[1], name="west", port=ports[1], peers=peers) as west:
            until(lambda: send(east, request_id, 1).status_code == 200)
            assert labels(west, request_id) == [1]
