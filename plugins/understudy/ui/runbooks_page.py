"""The runbooks as a page, so that an alert's link leads somewhere: docs/runbooks.md of the image or the checkout."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from understudy.settings import PROJECT
from understudy.ui.access import CallerDep
from understudy.ui.refusals import NotThere
from understudy.ui.render import page

if TYPE_CHECKING:
    from markdown_it.token import Token

router = APIRouter()
RUNBOOKS = PROJECT / "docs" / "runbooks.md"


@router.get("/runbooks")
def runbooks(request: Request, caller: CallerDep) -> HTMLResponse:
    """Show what to do about each alert.

    :raises Forbidden: to whom may read no DAG.
    :raises NotThere: where this installation has no documentation.
    """
    caller.require_something()
    if not RUNBOOKS.is_file():
        raise NotThere(f"{RUNBOOKS} is not installed here. AIRFLOW__UNDERSTUDY__ALERTS_RUNBOOKS names another place.")
    html, headings = _rendered(RUNBOOKS.read_text(encoding="utf-8"))
    return page(request, "runbooks", html=html, headings=headings)


def anchor_of(heading: str) -> str:
    """Name a heading as links to it do, here and where Markdown is read."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


@lru_cache(maxsize=1)
def _rendered(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")  # what it renders is taken as it is
    tokens, headings = markdown.parse(text), []
    for token, content in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and token.tag == "h2" and content is not None:
            token.attrSet("id", anchor_of(content.content))
            headings.append((anchor_of(content.content), content.content))
        if token.children:
            token.children = _within_the_page(token.children)
    html = markdown.renderer.render(tokens, markdown.options, {})
    # On a phone, commands are wider than the screen: who has no mouse scrolls what can have the focus.
    return html.replace("<pre>", '<pre tabindex="0">'), tuple(headings)


def _within_the_page(tokens: "list[Token]") -> "list[Token]":
    """Leave only the words of a link to another document: it is not served here."""
    kept, is_kept = [], True
    for token in tokens:
        if token.type == "link_open":
            is_kept = str(token.attrGet("href")).startswith("#")
        if not token.type.startswith("link_") or is_kept:
            kept.append(token)
    return kept
