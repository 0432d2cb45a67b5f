"""A person's reason: required for every act, text whatever is in it, and short enough to be read."""

REASON_LIMIT = 1_000
SAYS_SOMETHING = r"\S"
"""The pattern that forms ask a reason to match."""


def reason_problem(reason: object) -> str | None:
    """Say what is wrong with a reason, if something is."""
    if not isinstance(reason, str):
        return "is no text"
    length = len(reason.strip())
    if not length:
        return "is empty"
    return f"has {length:,} characters, {REASON_LIMIT:,} are allowed" if length > REASON_LIMIT else None
