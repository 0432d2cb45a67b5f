"""The page that a command prints for people: whatever people or data wrote stays text on the line where it stands."""

from typing import Any

from rich.console import Console
from rich.text import Text

from understudy.contract.printable import printable_line


class Page(Console):
    """Print every string, in tables too, as one line of plain text; what is to be marked up is given as ``Text``."""

    def __init__(self, **options: Any) -> None:
        # No highlighting by guess: numbers and paths in sentences stay calm.
        super().__init__(highlight=False, markup=False, emoji=False, soft_wrap=True, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Bring a string into its line."""
        return super().render_str(printable_line(text), **options)
