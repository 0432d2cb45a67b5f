"""The pages that people read, and what stands on them."""

import re
from pathlib import Path

from understudy.settings import PROJECT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
IDS = [page.relative_to(PROJECT).as_posix() for page in PAGES]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPOKEN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """Give the blocks of code in these languages; in none of them, those that name none."""
    return [code for language, code in FENCED.findall(text_of(page)) if language in (languages or ("",))]


def prose(page: Path) -> str:
    """Give a page without its blocks of code."""
    return FENCED.sub("", text_of(page))


def spoken(page: Path) -> list[str]:
    """Give what stands between backticks, each in one line."""
    return [" ".join(code.split()) for code in SPOKEN.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Name a page's headings as links do."""
    plain = (
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "") for heading in HEADING.findall(prose(page))
    )
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}
