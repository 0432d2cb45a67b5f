"""Identifiers of requests: ordered by time, unique across gateways, cheap to make."""

import itertools
import secrets
import time


class RequestIds:
    """Make 32 hexadecimal digits: nanoseconds since 1970, this process, a count."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(4)
        self._count = itertools.count()

    def next(self) -> tuple[str, int]:
        """Give an identifier and the moment in it, in nanoseconds since 1970."""
        now = time.time_ns()
        return f"{now:016x}{self._process}{next(self._count) & 0xFFFFFFFF:08x}", now
