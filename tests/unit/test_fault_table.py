"""The table of faults in docs/serving.md names tests that there are."""

import re

import pytest

from understudy.settings import PROJECT

ROW = re.compile(r"^\| (\d+[a-z]?) \|.*\| ([^|]+) \|$", re.MULTILINE)
PLACE = re.compile(r"unit/\w+|test_\w+\.py|^\w+")
TESTS = PROJECT / "tests"
PAGE = (PROJECT / "docs" / "serving.md").read_text(encoding="utf-8").partition("## What is broken on purpose")[2]
TABLE = dict(ROW.findall(PAGE))


def source_of(place: str) -> str:
    """Read the file that the table means by a word."""
    named = {
        TESTS / "unit" / "gateway" / f"test_{place.removeprefix('unit/')}.py": place.startswith("unit/"),
        TESTS / "integration" / place: place.endswith(".py"),
        TESTS / "integration" / f"test_gateway_{place}.py": True,
        TESTS / "integration" / f"test_{place}.py": True,
        TESTS / "integration" / "scoring" / f"test_{place}.py": True,
    }
    found = [path for path, is_meant in named.items() if is_meant and path.is_file()]
    assert found, f"no tests are called {place}"
    return found[0].read_text(encoding="utf-8")


def test_all_sixteen_faults_are_there() -> None:
    assert {int(number.rstrip("bc")) for number in TABLE} == set(range(1, 17))


@pytest.mark.parametrize("fault", TABLE)
def test_each_fault_names_tests_that_exist(fault: str) -> None:
    for part in TABLE[fault].split(";"):
        places, _, names = part.strip().partition(": ")
        sources = "".join(map(source_of, PLACE.findall(places)))
        for name in re.findall(r"`([^`]+)`", names):
            start = "" if name.startswith("…") else "def test_"
            assert start + name.strip("…") in sources, name
