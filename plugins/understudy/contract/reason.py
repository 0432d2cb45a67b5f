"""A person's reason: required for every act, text whatever is in it, and short enough to be read."""

import re

REASON_LIMIT = 1_000
_UNSEEN = (
    "\\s\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb"
)
"""What Unicode calls a space, a control or ignorable, and the letters and signs that are drawn as nothing."""
SAYS_SOMETHING = f"[^{_UNSEEN}]"
"""The pattern that forms ask a reason to match: Python and browsers read it alike."""
# Tags lie outside of what a browser can name in a pattern without a flag.
_SEEN = re.compile(f"[^{_UNSEEN}\U000e0000-\U000e0fff]")


def is_seen(reason: str) -> bool:
    """Tell whether there is anything to read in a text."""
    return _SEEN.search(reason) is not None


def reason_problem(reason: object) -> str | None:
    """Say what is wrong with a reason, if something is."""
    if not isinstance(reason, str):
        return "is no text"
    length = len(reason.strip())
    if not is_seen(reason):
        return "has no character that can be seen" if length else "is empty"
    return f"has {length:,} characters, {REASON_LIMIT:,} are allowed" if length > REASON_LIMIT else None
