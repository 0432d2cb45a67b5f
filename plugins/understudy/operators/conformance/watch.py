"""Watch what the interpreter does to the outside world."""

import sys
from typing import Any

OUTSIDE_WORLD = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "open", "sqlite3.connect")
CODE_FILES = (".py", ".pyc", ".so", ".pth")


class Watch:
    """Note what the interpreter reports of the outside world while active; audit hooks cannot be taken out again."""

    active: "Watch | None" = None
    is_installed = False

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> "Watch":
        if not Watch.is_installed:
            sys.addaudithook(Watch.hear)
            Watch.is_installed = True
        Watch.active = self
        return self

    def __exit__(self, *_: object) -> None:
        Watch.active = None

    @staticmethod
    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        """Keep an event, unless it is an import."""
        watch = Watch.active
        if watch is None or event not in OUTSIDE_WORLD:
            return
        if event != "open" or not str(arguments[0]).endswith(CODE_FILES):
            watch.seen.append(f"{event} {arguments[0] if event == 'open' else ''}".strip())
