"""Read one request from a connection; it never reads another one."""

import asyncio
from collections.abc import AsyncIterator

import httptools

from understudy.engine_proxy.refusals import TooLarge, Unreadable

HEAD_LIMIT = 16 << 10
READ = 256 << 10


class Request:
    """Hold what a client asks, and read what it sends with it.

    llhttp reads strictly: two lengths, a length beside chunks, folded lines and bare line feeds are errors. It calls
    the methods whose names begin with ``on_``.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._chunks = b"", list[bytes]()
        self.is_begun = self.is_whole = self.wants_upgrade = self._is_head_read = False
        self.early = b""
        """What came behind a request to upgrade, before it was answered."""

    @property
    def method(self) -> str:
        """Give the method as it was written."""
        return str(self._parser.get_method().decode("ascii"))

    @property
    def target(self) -> str:
        """Give path and query as they were written."""
        return self._target.decode("ascii", "replace")

    async def read_head(self) -> None:
        """Read up to the body.

        :raises ConnectionError: where the client says nothing at all.
        """
        read = 0
        while not self._is_head_read:
            data = await self._reader.read(HEAD_LIMIT)
            if not data:
                raise ConnectionResetError if not read else Unreadable("it ends early")
            read += len(data)
            self._feed(data)
            if read > HEAD_LIMIT and not self._is_head_read:
                raise TooLarge("the head of a request", HEAD_LIMIT)

    async def body(self) -> AsyncIterator[bytes]:
        """Read the body as it comes, without what frames it."""
        while True:
            chunks, self._chunks = self._chunks, []
            for chunk in chunks:
                yield chunk
            if self.is_whole:
                return
            data = await self._reader.read(READ)
            if not data:
                raise ConnectionResetError
            self._feed(data)

    async def small_body(self, limit: int) -> bytes:
        """Read the whole body.

        :raises TooLarge: where it is longer than ``limit``.
        """
        read = b""
        async for chunk in self.body():
            read += chunk
            if len(read) > limit:
                raise TooLarge("a description", limit)
        return read

    def require_no_body(self) -> None:
        """Refuse a body where none belongs: the engine of old took rights from it."""
        if not self.is_whole or self._chunks:
            raise Unreadable("it has a body, where none belongs")

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.wants_upgrade = True
            self.early = data[upgrade.args[0] :]
        except httptools.HttpParserError as wrong:
            told = wrong.__context__ if isinstance(wrong.__context__, Unreadable) else None
            raise told or Unreadable(str(wrong)) from wrong

    def on_message_begin(self) -> None:
        """Refuse a second request on the connection."""
        if self.is_begun:
            raise Unreadable("another one follows on the same connection")
        self.is_begun = True

    def on_url(self, part: bytes) -> None:
        """Take a part of path and query."""
        self._target += part

    def on_headers_complete(self) -> None:
        """Note that the body is next."""
        if self._parser.get_http_version() not in {"1.0", "1.1"}:
            raise Unreadable("it is no HTTP/1.1")
        self._is_head_read = True

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self._chunks.append(part)

    def on_message_complete(self) -> None:
        """Note that nothing more belongs to it."""
        self.is_whole = True
