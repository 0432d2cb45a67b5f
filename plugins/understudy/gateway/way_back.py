"""The version that break-glass goes back to: the previous champion, and only while it is warm."""

import asyncio
from pathlib import Path

from understudy.contract.release import Bundle
from understudy.gateway.channel import Channel
from understudy.gateway.errors import NoWayBack

# One that is just being started again is worth waiting for.
WARM_S = 5.0
PAUSE_S = 0.01


async def warm_up(standby: Channel | None) -> None:
    """Wait a little for a previous champion that is not warm; what keeps it is its channel's problem."""
    if standby is None or _is_warm(standby):
        return
    ready = asyncio.ensure_future(_again(standby))
    await asyncio.wait([ready], timeout=WARM_S)
    ready.cancel()
    await asyncio.gather(ready, return_exceptions=True)


async def _again(standby: Channel) -> None:
    standby.notice_death()
    while standby.worker is not None and not _is_warm(standby):
        await asyncio.sleep(PAUSE_S)
    await standby.until_ready()


def _is_warm(standby: Channel) -> bool:
    return standby.worker is not None and standby.worker.is_alive


def way_back(standby: Channel | None, champion: Bundle, folder: Path) -> Bundle:
    """Name the version to go back to; raise NoWayBack, which names what is left, where there is none.

    :param folder: holds the files of the model's versions.
    """
    if standby is not None and _is_warm(standby):
        return standby.bundle
    if standby is None:
        why = "its record names no other version that served before it"
    else:
        problem = (standby.problem or "it is being loaded").rstrip(".")
        why = f"version {standby.bundle.version}, which served before it, is not warm: {problem}"
    kept = {int(path.name) for path in folder.glob("*") if path.name.isdecimal()}
    raise NoWayBack(champion.model, champion.version, why, sorted(kept - {champion.version}))
