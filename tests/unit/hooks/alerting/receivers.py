"""Receivers of alerts on ports of this machine: a web server and a mail server, both real, both able to be down."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class WebReceiver:
    """Takes what is posted; answers with ``status``."""

    port: int = 0
    status: int = 200
    taken: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web_receiver() -> Iterator[WebReceiver]:
    receiver = WebReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.status < 300:
                receiver.taken.append(json.loads(body))
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.paths.append(self.path)
            self.send_response(receiver.status)
            self.end_headers()
            # As Slack does, and newer Alertmanagers take anything else for a refusal.
            self.wfile.write(b"ok" if receiver.status < 300 else b"")

        def do_GET(self) -> None:
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        receiver.port = port
        yield receiver


@dataclass
class MailReceiver:
    """Takes mail; refuses every recipient while ``refuses``."""

    port: int = 0
    refuses: bool = False
    taken: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    receiver = MailReceiver()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 here")
            to: list[str] = []
            while line := self.rfile.readline():
                word = line.split(None, 1)[0].upper() if line.split() else b""
                if word == b"RCPT":
                    to.append(line.decode().strip())
                    self._say("550 no" if receiver.refuses else "250 ok")
                elif word == b"DATA":
                    self._say("354 go on")
                    receiver.taken.append(message_from_bytes(self._data()))
                    receiver.recipients.append(to)
                    self._say("250 taken")
                elif word == b"QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def _data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line)
            return b"".join(lines)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with _serving(Server(("127.0.0.1", 0), Handler)) as port:
        receiver.port = port
        yield receiver


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
