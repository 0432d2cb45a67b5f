"""A stack of small programs with the command lines of Airflow, MLflow and the gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.embedded import stack
from understudy.embedded.layout import Layout
from understudy.settings import Settings

HEALTH = """
import json, sys, time
from configparser import ConfigParser
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from os import environ
from pathlib import Path


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = {part: heartbeat(part.replace("_", "-")) for part in ("scheduler", "dag_processor", "triggerer")}
        body = {part: {"status": "healthy", f"latest_{part}_heartbeat": at} for part, at in parts.items()}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args):
        pass


def heartbeat(name):
    beat = Path(environ.get("AIRFLOW_HOME", ".")) / name
    return datetime.fromtimestamp(beat.stat().st_mtime, timezone.utc).isoformat() if beat.exists() else None


def serve(port):
    HTTPServer(("127.0.0.1", port), Health).serve_forever()


def told_port():
    config = ConfigParser(interpolation=None)
    config.read(environ["AIRFLOW_HOME"] + "/airflow.cfg")
    return config["api"].getint("port")
"""
PROGRAMS = {
    "airflow": """
if sys.argv[1] == "api-server":
    serve(told_port())
elif sys.argv[1] != "db":
    others = [environ["AIRFLOW__UNDERSTUDY__GATEWAYS"], environ["AIRFLOW__UNDERSTUDY__MLFLOW_PAGES"]]
    print("asks", told_port(), *others, flush=True)
    time.sleep(0.3)
    (Path(environ["AIRFLOW_HOME"]) / sys.argv[1]).touch()
    time.sleep(60)
""",
    "mlflow": 'serve(int(sys.argv[sys.argv.index("--port") + 1]))',
    "understudy/cli": 'serve(int(sys.argv[sys.argv.index("--port") + 1]))',
}


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    for name, code in PROGRAMS.items():
        package = tmp_path / "project" / "plugins" / name
        package.mkdir(parents=True)
        for inside in (package, *package.parents)[: len(Path(name).parts)]:
            (inside / "__init__.py").write_text("", encoding="utf-8")
        (package / "__main__.py").write_text(HEALTH + code, encoding="utf-8")
    monkeypatch.setattr("understudy.embedded.health.POLL_S", 0.05)
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__ISOLATION", "process")
    layout = Layout(home=tmp_path / "home", project=tmp_path / "project")
    yield layout
    stack.down(layout)


def start(layout: Layout, steps: list[str]) -> stack.Running:
    return stack.up(Settings(), layout, steps.append)
