"""Count what a gateway's prediction log holds, line by line and without the library's reader."""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple


class Accounts(NamedTuple):
    """Count requests by what was logged of them."""

    champion: int = 0
    pairs: int = 0
    losses: Counter[str] = Counter()  # noqa: RUF012 - never changed, only replaced

    def plus(self, other: "Accounts") -> "Accounts":
        """Add another log's counts."""
        return Accounts(self.champion + other.champion, self.pairs + other.pairs, self.losses + other.losses)


def account(folder: Path) -> Accounts:
    """Read all segments below a model's log; raise ValueError for a request that has two rows of one role."""
    roles: dict[str, set[str]] = {}
    losses: Counter[str] = Counter()
    for segment in sorted(folder.glob("segments/*/*.jsonl")):
        for text in segment.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if "request_id" not in line:
                continue
            seen = roles.setdefault(line["request_id"], set())
            if line["role"] in seen:
                raise ValueError(f"request {line['request_id']} has two rows of role {line['role']}")
            seen.add(line["role"])
            if line.get("loss"):
                losses[line["loss"]] += 1
                seen.discard("shadow")
    return Accounts(
        champion=sum("champion" in seen or "standby" in seen for seen in roles.values()),
        pairs=sum("shadow" in seen for seen in roles.values()),
        losses=losses,
    )
