"""What a scoring process is not held to, in a sentence."""

from collections.abc import Iterable

from understudy.contract.words import Confinement, Role


def unconfined_sentence(version: int, role: Role, not_held: Iterable[Confinement]) -> str:
    """Say to what the process of a version cannot be held where it runs."""
    return f"version {version} ({role}) is scored by a process that is not held to: {', '.join(not_held)}"
