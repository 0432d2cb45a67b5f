"""Score in a container, with the gateway at the other end of its standard input and output."""

import os
import warnings

from understudy.gateway.scoring.nest import preload
from understudy.gateway.scoring.process import live, silence


class Pipes:
    """Be read and written like a socket."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing

    def fileno(self) -> int:
        """Give what tells that the gateway is gone."""
        return self._reading

    def recv(self, size: int, /) -> bytes:
        """Read what there is."""
        return os.read(self._reading, size)

    def sendall(self, data: bytes, /) -> None:
        """Write all of it."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._writing, left) :]


if __name__ == "__main__":
    pipes = Pipes(os.dup(0), os.dup(1))
    silence()
    warnings.simplefilter("ignore")
    preload()
    live(pipes)
