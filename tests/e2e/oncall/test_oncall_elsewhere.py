"""What another site can do with the login of whoever visits it: nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.airflow_site import Site
from tests.e2e.browser import browser
from tests.e2e.oncall.people import ONCALL, PASSWORDS, log_in

pytestmark = pytest.mark.e2e

ATTACK = """
const [url, done] = arguments;
const body = JSON.stringify({logical_date: null, conf: {model: "demand", reason: "from elsewhere"}});
const send = (headers, mode) => fetch(`${url}/api/v2/dags/hold/dagRuns`,
  {method: "POST", credentials: "include", mode, headers, body}).then((got) => got.status, () => "blocked");
(async () => done([
  await send({"Content-Type": "application/json"}, "cors"),
  await send({"Content-Type": "text/plain"}, "no-cors"),
  await fetch(`${url}/understudy/api/models`, {credentials: "include"}).then((got) => got.status, () => "blocked"),
]))();
"""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_another_site_neither_acts_nor_reads_with_the_login_of_who_visits_it(bad_champion: Site, host: str) -> None:
    before = len(bad_champion.runs_of("hold"))
    with elsewhere(host) as address, browser(bad_champion.api.url) as page:
        log_in(page, ONCALL, PASSWORDS[ONCALL])
        page.driver.get(address)
        acted, sent_blindly, read = page.driver.execute_async_script(ATTACK, bad_champion.api.url)
        # What was sent blindly arrived, perhaps with the login; its answer is nobody's to read.
        assert (acted, sent_blindly, read) == ("blocked", 0, "blocked")
        # A frame of another site shows nothing of ours.
        page.driver.execute_script(
            "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame)",
            f"{bad_champion.api.url}/understudy/models/demand",
        )
        page.enter_frame()
        assert page.driver.find_elements("css selector", ".actions button") == []
    assert len(bad_champion.runs_of("hold")) == before


@contextmanager
def elsewhere(host: str) -> Iterator[str]:
    """Serve an empty page from another origin."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title><p>Win a prize")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
