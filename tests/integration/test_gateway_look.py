"""A look at a real gateway: what it was asked, what it answered, and what its callers have that the source has not."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.integration.conftest import Run, Site, hourly
from tests.integration.real_gateway import TOKEN, running
from understudy.contract.retrainings import Look
from understudy.contract.words import EntryKind, Verdict, Watched
from understudy.settings import settings

MODEL = "ferry"
ROWS = 3000
BATCH = 100
NOW = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
TRAINED = NOW - timedelta(days=30)
SECTIONS: dict[str, Any] = {
    "serving": {},
    "monitor": {"window": "30d", "looks": 1, "min_rows": 300, "skew": True},
    "gates": [{"metric": "roc_auc", "floor": 0.6, "margin": 0.1}],
}


@pytest.fixture(scope="module")
def served(site: Site) -> Iterator[tuple[Site, str]]:
    with running(site.home) as gateway, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAYS", gateway.url)
        patch.setenv("AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN", TOKEN.get_secret_value())
        settings.cache_clear()
        site.declare(MODEL, **SECTIONS)
        site.deliver(MODEL, rows())
        assert site.retrain(MODEL, as_of=TRAINED.isoformat()).outcome == "promoted"
        yield site, f"{gateway.url}/models/{MODEL}"
    settings.cache_clear()


def rows() -> pd.DataFrame:
    return hourly(ROWS, start=(NOW - timedelta(hours=ROWS)).strftime("%Y-%m-%d %H:%M:%S"))


def newest() -> pd.DataFrame:
    return rows().tail(600)


def call(url: str, asked: pd.DataFrame, *, labelled: bool) -> None:
    features = asked[["wind", "sun", "noise", "region"]]
    for start in range(0, len(asked), BATCH):
        part = features.iloc[start : start + BATCH]
        body = {"dataframe_split": {"columns": list(part.columns), "data": part.to_numpy().tolist()}}
        answer = httpx.post(f"{url}/invocations", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        if labelled:
            asked_as = answer.headers["x-understudy-request-id"]
            truth = asked["up"].iloc[start : start + BATCH]
            labels = [{"request_id": asked_as, "row": row, "label": int(up)} for row, up in enumerate(truth)]
            assert httpx.post(f"{url}/labels", json={"labels": labels}, timeout=60).status_code == 200


def look(site: Site) -> tuple[Run, Look]:
    run = site.run(f"monitor__{MODEL}", "monitoring", {}, {})
    entry = site.hooks.ledger.entries(MODEL, [EntryKind.MONITORED])[-1]
    return run, Look.model_validate(entry.facts)


def answers(look: Look) -> dict[str, Verdict]:
    return {answer.gate: answer.verdict for answer in look.decision.judgement.results}


def test_what_a_gateway_was_asked_is_compared_with_training_and_with_the_source(served: tuple[Site, str]) -> None:
    site, url = served
    call(url, newest(), labelled=True)
    run, seen = look(site)
    assert (run.state, seen.report.watched, seen.is_due) == ("success", Watched.GATEWAY, False)
    assert seen.report.quality is not None
    assert (seen.report.quality.rows, seen.report.quality.labelled_rows) == (600, 600)
    told = answers(seen)
    assert {told[gate] for gate in ("data", "drift", "together", "predictions", "skew")} == {Verdict.PASSED}
    # All labels are of the same minute, which is no evidence of a month.
    assert told["quality.loss"] is Verdict.INCONCLUSIVE

    wrong_unit = newest().assign(wind=lambda frame: frame["wind"] * 8)
    for _ in range(3):
        call(url, wrong_unit, labelled=False)
    run, seen = look(site)
    assert answers(seen)["skew"] is Verdict.FAILED
    sentence = next(answer.sentence for answer in seen.decision.judgement.results if answer.gate == "skew")
    assert "wind" in sentence
    assert "noise" not in sentence


def test_without_the_sources_rows_the_look_goes_on_and_says_so(served: tuple[Site, str]) -> None:
    site, _ = served
    kept = site.home / "data" / f"{MODEL}.csv"
    aside = kept.rename(kept.with_suffix(".aside"))
    try:
        run, seen = look(site)
    finally:
        aside.rename(kept)
    assert (run.state, run.tasks["source"]) == ("success", "failed")
    assert (run.tasks["drift"], run.tasks["decide"]) == ("success", "success")
    assert "skew" not in answers(seen)
    assert any(problem.startswith("source: ") for problem in seen.report.problems)
