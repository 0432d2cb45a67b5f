"""The terminal, on which what people wrote is shown as they wrote it."""

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def open_terminal(
    file: IO[str] | None = None, *, stderr: bool = False, quiet: bool = False, wraps: bool = True
) -> "Console":
    """Open a terminal that takes no text for markup, for an emoji's name (``trainer.py:train:``) or for code.

    Colour comes from styles and ``Text`` alone.

    :param wraps: whether long lines are broken at the terminal's width by us; else they are left to it.
    """
    from rich.console import Console

    return Console(
        file=file, stderr=stderr, quiet=quiet, soft_wrap=not wraps, markup=False, emoji=False, highlight=False
    )
