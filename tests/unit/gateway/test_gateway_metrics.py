"""What Prometheus reads of a gateway: every declared metric, with the numbers that clients and processes saw."""

from math import isnan
from pathlib import Path

from tests.unit.gateway.fake_processes import MODEL, POISON, until
from tests.unit.gateway.gateway_visit import ADMIN, JSON, TOKEN, Visit, visit
from tests.unit.scrape import Samples, promtool_complaints, samples_of, undeclared, value
from understudy.contract.words import Change
from understudy.gateway import measures as m
from understudy.gateway.log.label_accounts import count_labels

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def scraped(here: Visit) -> Samples:
    answer = await here.client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert promtool_complaints(answer.text) == []
    return samples_of(answer.text)


def test_every_declared_metric_is_shown_and_no_other(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        model = here.app.roster
        await here.serve(1, champion=1)
        await here.serve(2, champion=1, mirror=2, change=Change.MIRROR_STARTED)
        assert (await here.score()).status_code == 200
        assert (await here.client.post("/models/nobody/invocations", content=b"{}", headers=JSON)).status_code == 404
        model.relay.refused["http://other:8090"] += 1
        here.nursery.of(2).die()
        await here.score()
        labels = b'{"labels":[{"request_id":"%s","label":1}]}' % b"nobodys"
        assert (await here.client.post(f"/models/{MODEL}/labels", content=labels, headers=JSON)).status_code == 200
        served = model.models[MODEL]
        served.labels = count_labels(here.app.roster.config.log_dir(MODEL))
        assert undeclared(await scraped(here), m.MEASURES) == set()

    visit(tmp_path, act)


def test_requests_are_counted_as_their_callers_saw_them(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        for _ in range(3):
            assert (await here.score()).status_code == 200
        assert (await here.score(probe=TOKEN)).status_code == 200
        assert value(await scraped(here), m.WORKER_ISOLATION, MODEL, "champion", "1", "process") == 1
        assert (await here.score(POISON)).status_code == 500
        found = await scraped(here)
        assert value(found, m.REQUESTS, MODEL, "200") == 3, "a probe is nobody's request"
        assert value(found, m.REQUESTS, MODEL, "500") == 1
        assert value(found, m.ANSWERS, MODEL, "probe", "1", "200") == 1
        assert value(found, m.ANSWERS, MODEL, "champion", "1", "200") == 3
        assert value(found, m.DURATION, MODEL, "champion", suffix="_count") == 4
        assert value(found, m.DURATION, MODEL, "champion", suffix="_bucket", le="+Inf") == 4
        assert value(found, m.WORKER_RESTARTS, MODEL, "champion", "1") == 2

    visit(tmp_path, act)


def test_what_nobody_could_answer_is_counted_too(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1, timeout_ms=50)
        here.nursery.of(1).is_held = True
        assert (await here.score()).status_code == 504
        found = await scraped(here)
        assert value(found, m.REQUESTS, MODEL, "504") == 1
        assert (await here.client.post(f"/v2/models/{MODEL}/versions/9/infer", content=b"{}")).status_code == 404
        assert value(await scraped(here), m.TURNED_AWAY, "404") == 1

    visit(tmp_path, act)


def test_a_version_that_is_warm_no_more_is_named_no_more(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        await here.score()
        await here.serve(2, champion=2)
        await here.score()
        await until(lambda: len(here.app.roster.models[MODEL].lineup.channels) == 1)
        found = await scraped(here)
        assert {dict(labels)["version"] for _, labels in found if "version" in dict(labels)} == {"2"}
        assert value(found, m.REQUESTS, MODEL, "200") == 2, "what callers saw is not forgotten"

    visit(tmp_path, act)


def test_health_and_epoch_say_what_health_says(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(4, champion=1)
        found = await scraped(here)
        assert value(found, m.HEALTHY) == 0, "no follower has reported"
        assert isnan(value(found, m.TRUTH_AGE))
        news = '{"at": "2026-11-27T00:00:00Z", "problem": null}'
        assert (await here.client.put("/admin/truth", content=news, headers=ADMIN)).status_code == 200
        found = await scraped(here)
        assert (value(found, m.HEALTHY), value(found, m.TRUTH_READ)) == (1, 1)
        assert (value(found, m.EPOCH, MODEL), value(found, m.SERVING, MODEL)) == (4, 1)

    visit(tmp_path, act)


def test_a_scraper_may_ask_for_openmetrics(tmp_path: Path) -> None:
    async def act(here: Visit) -> None:
        await here.serve(1, champion=1)
        await here.score()
        answer = await here.client.get("/metrics", headers={"accept": OPENMETRICS})
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")

    visit(tmp_path, act)
