"""The next start of a process, and those who wait to hear how it went."""

import asyncio


class NextStart:
    """Tell all who wait at once."""

    def __init__(self) -> None:
        self._awaited: list[asyncio.Future[None]] = []

    def outcome(self) -> "asyncio.Future[None]":
        """Give what can be waited for; it raises what refused the start."""
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append(outcome)
        return outcome

    def settle(self, refused: Exception | None) -> None:
        """Say how it went; who asks from now on waits for another one."""
        outcomes, self._awaited = self._awaited, []
        for outcome in outcomes:
            if outcome.done():
                continue
            if refused is None:
                outcome.set_result(None)
            else:
                outcome.set_exception(refused)
