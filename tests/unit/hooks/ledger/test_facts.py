from datetime import datetime, timezone
from pathlib import Path

import pytest

from understudy.contract.reports import Comparison
from understudy.hooks.ledger.facts import mask, storable


def test_what_is_not_a_number_becomes_null() -> None:
    assert storable({"auc": float("nan"), "gain": [float("inf"), 0.5]}) == {"auc": None, "gain": [None, 0.5]}


def test_facts_of_any_shape_become_plain_json() -> None:
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    assert storable({1: (moment, Path("a/b")), "r": Comparison(metric="auc", challenger=float("nan"), rows=3)}) == {
        "1": ["2026-01-02T00:00:00Z", "a/b"],
        "r": {
            "metric": "auc",
            "challenger": None,
            "challenger_low": None,
            "challenger_high": None,
            "other": None,
            "gain": None,
            "gain_low": None,
            "gain_high": None,
            "rows": 3,
            "blocks": 0,
        },
    }


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ml:s3cret@db/models",
        "postgresql+psycopg://ml:s3cret/with@sign@db/models",
        "redis://:s3cret@cache",
        "see https://bot:s3cret@git.example.org/x.git for more",
    ],
)
def test_a_password_in_a_url_is_masked_wherever_it_is(url: str) -> None:
    kept = storable({"deep": [{"source": url, url: 1}]})
    assert "s3cret" not in str(kept)
    assert "***@" in mask(url)
    assert mask(url).startswith(url.partition("s3cret")[0])


def test_a_fact_of_an_unknown_kind_is_kept_in_words() -> None:
    assert storable({"cause": ValueError("no rows"), "count": 3, "is_held": True}) == {
        "cause": "no rows",
        "count": 3,
        "is_held": True,
    }


def test_addresses_without_a_password_stay() -> None:
    assert mask("https://host:8080/path?x=1 by me@example.org") == "https://host:8080/path?x=1 by me@example.org"


def test_text_that_no_database_can_keep_is_replaced() -> None:
    assert mask("a\x00b\ud800c") == "a\ufffdb?c"
