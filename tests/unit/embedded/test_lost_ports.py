"""Another program takes a port after it was chosen and before its server listens, and answers there as ours would."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.unit.embedded.conftest import start
from understudy.embedded import stack
from understudy.embedded.components import COMPONENTS
from understudy.embedded.health import PortTaken
from understudy.embedded.layout import Layout
from understudy.embedded.ports import Ports, choose, move


class Stranger:
    """Serve another stack's health, with fresh heartbeats."""

    def __init__(self, port: int) -> None:
        class Health(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                now = datetime.now(timezone.utc).isoformat()
                parts = ("scheduler", "dag_processor", "triggerer")
                body = {part: {"status": "healthy", f"latest_{part}_heartbeat": now} for part in parts}
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Health)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def leave(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def thieves(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Stranger]]:
    thieves: list[Stranger] = []
    yield thieves
    for thief in thieves:
        thief.leave()


def test_what_nobody_disturbs_uses_the_ports_that_were_chosen(layout: Layout) -> None:
    running = start(layout, [])
    assert not any("another program" in remark for remark in running.remarks)
    assert start(layout, []).was_running


@pytest.mark.parametrize(
    ("purpose", "words"), [("airflow", "Airflow"), ("mlflow", "MLflow"), ("gateway", "the gateway")]
)
def test_a_port_lost_to_another_stack_is_replaced_and_said(
    layout: Layout, thieves: list[Stranger], monkeypatch: pytest.MonkeyPatch, purpose: str, words: str
) -> None:
    def choose_and_lose(wanted: Ports) -> tuple[Ports, list[str]]:
        ports, remarks = choose(wanted)
        thieves.append(Stranger(getattr(ports, purpose)))
        return ports, remarks

    monkeypatch.setattr(stack, "choose", choose_and_lose)
    steps: list[str] = []
    running = start(layout, steps)
    lost, used = thieves[0].server.server_port, int(getattr(running, purpose).rpartition(":")[2])
    assert used > lost
    remark = f"another program took port {lost} while {words} was starting, so {words} uses {used}"
    assert remark in running.remarks
    assert remark in steps
    assert start(layout, []).airflow == running.airflow
    # Nobody of ours asks the stranger, or sends people there.
    told = [running.airflow.rpartition(":")[2], running.gateway, running.mlflow]
    deadline = time.monotonic() + 60
    while layout.log_of("scheduler").read_text(encoding="utf-8").split()[-3:] != told:
        assert time.monotonic() < deadline, "Airflow was told another address than the one that is used"
        time.sleep(0.1)
    assert layout.gateway_address.read_text(encoding="utf-8").strip() == running.gateway
    assert sorted(stack.down(layout)) == sorted(COMPONENTS)
    assert not layout.gateway_address.exists()


def test_one_who_always_loses_gives_up_with_a_sentence_and_leaves_nothing_behind(
    layout: Layout, thieves: list[Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(ports: Ports) -> Ports:
        thieves.append(Stranger(ports.mlflow))
        return ports

    def choose_and_lose(wanted: Ports) -> tuple[Ports, list[str]]:
        ports, remarks = choose(wanted)
        return lose(ports), remarks

    def move_and_lose(ports: Ports, purpose: str) -> tuple[Ports, str]:
        moved, remark = move(ports, purpose)
        return lose(moved), remark

    monkeypatch.setattr(stack, "choose", choose_and_lose)
    monkeypatch.setattr(stack, "move", move_and_lose)
    with pytest.raises(PortTaken, match=r"took port .* while MLflow was starting.*`understudy up` again"):
        start(layout, [])
    assert len(thieves) == stack.MOVES + 1
    assert stack.down(layout) == []
