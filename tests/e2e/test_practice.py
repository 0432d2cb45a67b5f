"""A stranger's way by the README alone: one command, a browser, and the version before answers again."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import TOLD
from tests.e2e.airflow_site import wait
from tests.e2e.browser import browser
from tests.e2e.oncall.people import log_in, press
from understudy.settings import PROJECT
from understudy.story.practice import ROW

REASON = "It tells the opposite of what happens"


def understudy(home: Path, *words: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    answer = subprocess.run(
        [sys.executable, "-c", "from understudy.cli import main; main()", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        env={**kept, "PYTHONPATH": str(PROJECT / "plugins"), "UNDERSTUDY_HOME": str(home)},
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def answering(left: dict[str, Any]) -> str | None:
    """Ask the gateway as a caller does; give the version that answered."""
    url = f"{left['running']['gateway']}/models/{left['model']}/invocations"
    version: str | None = httpx.post(url, json=ROW, timeout=60, trust_env=False).headers.get("X-Understudy-Version")
    return version


@pytest.mark.e2e
def test_a_stranger_finds_the_bad_model_that_practice_leaves_and_takes_it_back(
    tmp_path: Path, record_property: Any
) -> None:
    begun = time.monotonic()
    try:
        left = understudy(tmp_path, "practice")
        ready = time.monotonic()
        assert (answering(left), left["bad"], left["good"]) == ("2", 2, 1)
        assert "roc_auc" in left["found"]
        with browser(left["running"]["airflow"]) as page:
            log_in(page, left["running"]["user"], left["running"]["password"])
            page.enter_frame()
            assert "Needs attention" in page.find("tbody tr", "demand").text
            page.picture(tmp_path / "practice-1-fleet.png")
            page.enter_frame()
            page.find("a.name", "demand").click()
            page.find(".notice.bad", "Its last look found something wrong")
            page.find(".notice.bad a", "Read why").click()
            page.find("tr", "quality.")
            page.find("dd a", left["model"]).click()
            would, told = "goes back from version 2 to version 1", "version 1 of demand is champion again"
            press(page, "Roll back", REASON, would=would, told=told)
            wait(lambda: answering(left) == "1", 120)
            done = time.monotonic()
            page.picture(tmp_path / "practice-2-done.png")
        record_property(
            TOLD,
            f"from the start of a stack to the gateway answering with the previous champion {done - begun:.0f} s: "
            f"{ready - begun:.0f} s until a bad one served, {done - ready:.0f} s to find it and take it back",
        )
    finally:
        stopped = understudy(tmp_path, "down")["stopped"]
    assert "gateway" in stopped
