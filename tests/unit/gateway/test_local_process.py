"""A scoring process is ended once, however many want its end at once."""

import asyncio
import os
import subprocess
import sys

import pytest

from understudy.gateway.local_process import LocalProcess


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no handles of processes")
def test_whoever_ends_a_process_second_closes_nothing_of_others() -> None:
    async def ended() -> None:
        process = LocalProcess(child.pid)
        first = asyncio.create_task(process.end(0.0))
        second = asyncio.create_task(process.end(0.0))
        await first
        # It may get the number that the handle had.
        others = os.open(os.devnull, os.O_RDONLY)
        await second
        os.close(others)

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        asyncio.run(ended())
    assert child.returncode == -9
