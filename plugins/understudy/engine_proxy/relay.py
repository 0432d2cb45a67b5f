"""Carry bytes between a client and the engine for as long as both are there."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any

from understudy.engine_proxy.engine import READ, Connection

LINGER_S = 5.0
LAST_CHUNK = b"0\r\n\r\n"


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy to the end, no faster than it is taken."""
    while data := await source.read(READ):
        target.write(data)
        await target.drain()


async def exchange(
    client: asyncio.StreamReader, to: asyncio.StreamWriter, engine: Connection, body: AsyncIterator[bytes] | None = None
) -> None:
    """Send a body, if there is one, and hand the answer over until it ends or the client goes.

    Whatever else the client says ends it too: its request was whole, and it gets no other on this connection.
    """

    async def say() -> None:
        if body is not None:
            await _send(body, engine.writer)
        await client.read(1)

    await _until_first(copy(engine.reader, to), say())


async def tunnel(client: asyncio.StreamReader, to: asyncio.StreamWriter, engine: Connection) -> None:
    """Hand over a container's input and output; its end ends both, the client's end only the input."""

    async def say() -> None:
        await copy(client, engine.writer)
        engine.writer.write_eof()
        await asyncio.Event().wait()

    await _until_first(copy(engine.reader, to), say())


async def linger(client: asyncio.StreamReader) -> None:
    """Let a client that is still sending read its answer: what is closed over unread bytes is cut off for it."""

    async def listen() -> None:
        while await client.read(READ):
            pass

    with suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(listen(), LINGER_S)


async def _send(body: AsyncIterator[bytes], to: asyncio.StreamWriter) -> None:
    is_taken = True
    async for chunk in body:
        # Where the engine has heard enough, the rest goes nowhere, and its answer says why.
        is_taken = is_taken and await _sent(b"%x\r\n%b\r\n" % (len(chunk), chunk), to)
    if is_taken:
        await _sent(LAST_CHUNK, to)


async def _sent(data: bytes, to: asyncio.StreamWriter) -> bool:
    try:
        to.write(data)
        await to.drain()
    except OSError:
        return False
    return True


async def _until_first(*carrying: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(one) for one in carrying]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, OSError):
                raise ended
