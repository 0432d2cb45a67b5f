"""Where scoring processes come from: one process that has imported everything forks itself for each of them."""

import asyncio
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import monotonic

import understudy
from understudy.contract.errors import UnderstudyError
from understudy.gateway.frames import FrameChannel
from understudy.gateway.local_process import POLL_S, LocalProcess
from understudy.gateway.worker import Worker, WorkerStart, WorkerUnborn, connect

CODE = "import sys; from understudy.gateway.scoring.nest import main; main(int(sys.argv[1]))"
PRELOAD_TIMEOUT_S = 120.0
END_TIMEOUT_S = 10.0
DEATH_S = 2.0
HAND_OVER_S = 30.0
# What a model may know of the gateway's environment; tokens and passwords are in the rest.
ENVIRONMENT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONHOME",
    "SYSTEMROOT",
)
# Many small processes beside each other: more threads in each would only wait for one another.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ARROW_NUM_THREADS")
# On macOS a forked process must not touch the threads of Accelerate, nor the system's proxy settings, nor be killed for
# frameworks that its parent had opened.
FORK_SAFE = {"VECLIB_MAXIMUM_THREADS": "1", "NO_PROXY": "*", "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}


class NurseryBroken(UnderstudyError):
    """The process that scoring processes are forked from does not start."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The process that scoring processes are forked from does not start: {problem}. Look at the gateway's "
            "output; usually a library cannot be imported."
        )


class Nursery:
    """Fork scoring processes."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = asyncio.Lock()
        self._handing_over = asyncio.Lock()

    async def open(self) -> None:
        """Start the process to fork from, unless it runs, and wait until it has imported everything.

        :raises NurseryBroken: where it does not start.
        """
        async with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            await self._stop()
            await self._start()

    async def spawn(self, start: WorkerStart, timeout_s: float = 60.0) -> Worker:
        """Start a scoring process and wait until it is ready.

        :raises WorkerRefused: where the version cannot be verified, loaded or warmed up, or no process starts.
        """
        try:
            return await self._spawn(start, timeout_s)
        except WorkerUnborn:
            if not await self._is_dead():
                raise
        return await self._spawn(start, timeout_s)

    async def _spawn(self, start: WorkerStart, timeout_s: float) -> Worker:
        try:
            await self.open()
            sock = await self._fork()
        except (OSError, asyncio.TimeoutError, NurseryBroken) as broken:
            raise WorkerUnborn(start.bundle) from broken
        channel = FrameChannel()
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=sock)
        return await connect(channel, start, timeout_s, LocalProcess)

    async def _is_dead(self) -> bool:
        """Tell whether the process to fork from is gone; one that was killed takes a moment to go."""
        end = monotonic() + DEATH_S
        while self._process is not None and self._process.poll() is None:
            if monotonic() > end:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def close(self) -> None:
        """End the process to fork from; the scoring processes end with it."""
        async with self._lock:
            await self._stop()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        start: partial[subprocess.Popen[bytes]] = partial(
            subprocess.Popen,
            [sys.executable, "-W", "ignore", "-c", CODE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for the gateway, which then lets the others end in order
        )
        ours.setblocking(False)
        self._control = ours
        with theirs:
            self._process = await loop.run_in_executor(None, start)
        try:
            said = await asyncio.wait_for(loop.sock_recv(ours, 1), PRELOAD_TIMEOUT_S)
        except (OSError, asyncio.TimeoutError) as broken:
            await self._stop()
            raise NurseryBroken(f"it does not answer ({type(broken).__name__})") from broken
        if not said:
            await self._stop()
            raise NurseryBroken("it ended while it imported its libraries")

    async def _fork(self) -> socket.socket:
        """Hand the end of a new socket to the process to fork from; its child answers at the other."""
        loop = asyncio.get_running_loop()
        if self._control is None:
            raise NurseryBroken("it was closed")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                async with self._handing_over:
                    socket.send_fds(self._control, [b"F"], [theirs.fileno()])
                    # Kept open until it has arrived: macOS may lose a descriptor that its sender closes on the way.
                    said = await asyncio.wait_for(loop.sock_recv(self._control, 1), HAND_OVER_S)
            except (OSError, asyncio.TimeoutError):
                ours.close()
                raise
        if not said:
            ours.close()
            raise NurseryBroken("it ended")
        ours.setblocking(False)
        return ours

    async def _stop(self) -> None:
        if self._control is not None:
            self._control.close()  # it ends by itself when its socket closes
            self._control = None
        process, self._process = self._process, None
        if process is not None:
            await asyncio.get_running_loop().run_in_executor(None, _reap, process)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    library = str(Path(understudy.__file__).resolve().parents[1])
    return {
        **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        **dict.fromkeys(THREADS, "1"),
        **FORK_SAFE,
        "PYTHONPATH": os.pathsep.join([library, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
    }
