"""What a runner and the entry point of an image agree on besides JSON: environment variables and marked log lines."""

import logging
import re

REQUEST_ENV = "UNDERSTUDY_REQUEST"
RESULT_ENV = "UNDERSTUDY_RESULT"
INPUTS_ENV = "UNDERSTUDY_INPUTS"
OUTPUTS_ENV = "UNDERSTUDY_OUTPUTS"
SECRETS_ENV = "UNDERSTUDY_SECRETS"
"""Set where one line of JSON is on its way to the standard input."""
TIMEOUT_ENV = "UNDERSTUDY_TIMEOUT_S"
"""After how many seconds a stage ends itself, so that one whose worker is gone does not run for ever."""

MARKED = re.compile("^\x1e(\\d{1,2})\x1f")


def mark(level: int, text: str) -> str:
    """Put the level before each line of a message, unseen by people."""
    return "\n".join(f"\x1e{level}\x1f{line}" for line in text.split("\n"))


def unmark(line: str, unmarked: int = logging.INFO) -> tuple[int, str]:
    """Split a line into its level and its text."""
    match = MARKED.match(line)
    return (int(match[1]), line[match.end() :]) if match else (unmarked, line)
