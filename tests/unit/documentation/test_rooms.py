"""The page of the architecture names each room, and only rooms that there are."""

import re

from understudy.settings import PROJECT

LIBRARY = PROJECT / "plugins" / "understudy"
LARGE = ("contract", "gateway", "hooks", "operators", "stages")


def test_each_room_within_a_large_one_is_on_the_page_of_the_architecture() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = set(re.findall(rf"`((?:{'|'.join(LARGE)})/\w+)`", page))
    rooms = {f"{large}/{inner.parent.name}" for large in LARGE for inner in LIBRARY.glob(f"{large}/*/__init__.py")}
    assert told == rooms
