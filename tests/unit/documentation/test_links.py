"""Links between pages lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.unit.documentation.pages import IDS, PAGES, anchors, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    lost = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []
