"""Show values as evidence without showing persons."""

import re
from collections.abc import Iterable

REDACTED = "‹redacted›"
SHOWN_EXAMPLES = 5
SHOWN_CHARACTERS = 60
E_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
CARD_NUMBER = re.compile(r"(?<!\d)(?:\d[ -]?){13,16}(?!\d)")


def examples(values: Iterable[object], is_personal: bool) -> tuple[str, ...]:
    """Give the first few distinct values as short texts; personal ones, declared or by their looks, are redacted."""
    shown: dict[str, None] = {}
    for value in values:
        text = "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        shown[REDACTED if is_personal or looks_personal(text) else text[:SHOWN_CHARACTERS]] = None
        if len(shown) == SHOWN_EXAMPLES:
            break
    return tuple(shown)


def looks_personal(text: str) -> bool:
    """Tell an e-mail address or the digits of a payment card (by its Luhn sum, ISO/IEC 7812-1) from other texts."""
    if E_MAIL.search(text):
        return True
    match = CARD_NUMBER.search(text)
    return match is not None and _luhn([int(digit) for digit in match[0] if digit.isdigit()])


def _luhn(digits: list[int]) -> bool:
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and any(digits)
