"""A row of a page, such as a ledger entry, that ends with what others wrote."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

GOES_ON = "       │ "
NARROWEST = 20


def print_row(page: "Console", row: str, *, style: str | None = None) -> None:
    """Print a row on a line of its own.

    Where a terminal is too narrow for it, the rest is marked as such: a text of the right length could feign another
    row. Elsewhere a row is a line.
    """
    from rich.text import Text

    text = page.render_str(row)
    if not page.is_terminal or text.cell_len <= page.width:
        page.print(text, style=style)
        return
    first, *rest = text.wrap(page, max(page.width - len(GOES_ON), NARROWEST), overflow="fold")
    page.print(first, style=style)
    for line in rest:
        page.print(Text(GOES_ON).append_text(line), style=style)
