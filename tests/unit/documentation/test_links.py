"""Links between pages lead somewhere, and files that pages name are there."""

import re
from pathlib import Path

import pytest

from tests.unit.documentation.pages import IDS, PAGES, anchors, prose, spoken
from understudy.settings import PROJECT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(
    r"(?:python |bash )?((?:benchmarks|dags|docs|include|plugins|schema|scripts|tests|\.ci)/[\w./-]+)(?: .*)?"
)
OF_READERS = "include/models/"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    lost = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    named = {found[1] for code in spoken(page) if (found := FILE.fullmatch(code))}
    assert {path for path in named if not (PROJECT / path).exists() and not path.startswith(OF_READERS)} == set()
