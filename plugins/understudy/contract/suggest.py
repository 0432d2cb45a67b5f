"""Guess what a misspelt name was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

LISTED, NEAREST = 20, 5
SHOWN_CHARACTERS = 60


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for a close name, else the known names or the nearest of many, else nothing."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(names) <= LISTED:
        return f"; known: {', '.join(map(_shown, names))}" if names else ""
    first = get_close_matches(name, names, n=NEAREST, cutoff=0.0)
    return f"; the nearest of {len(names):,} known names: {', '.join(map(_shown, first))}"


def _shown(name: str) -> str:
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[: SHOWN_CHARACTERS - 1]}…"
