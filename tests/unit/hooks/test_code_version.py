from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.hooks.code_version import code_commit
from understudy.settings import PROJECT


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    code_commit.cache_clear()
    yield
    code_commit.cache_clear()


def test_an_image_says_what_it_was_built_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_commit(tmp_path) == "unknown"
    code_commit.cache_clear()
    monkeypatch.setenv("UNDERSTUDY_CODE_COMMIT", "abc123+changes")
    assert code_commit(tmp_path) == "abc123+changes"


def test_a_checkout_is_believed_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no Git checkout")
    monkeypatch.setenv("UNDERSTUDY_CODE_COMMIT", "abc123")
    assert code_commit(PROJECT).partition("+")[0] != "abc123"
