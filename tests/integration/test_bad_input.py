"""Everything that people and feeds get wrong: one sentence with a way out, and nothing has changed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from tests.integration.conftest import Run, Site, hourly
from understudy.cli.app import app
from understudy.contract.words import EntryKind

MODEL = "price"
Broken = Callable[[Site, pd.DataFrame], object]


@dataclass(frozen=True)
class World:
    """What a refused run must not change."""

    serving: Any
    aliases: Any
    versions: list[str]
    registered: list[str]
    experiments: list[str]
    decisions: list[Any] = field(default_factory=list)

    @staticmethod
    def look(site: Site) -> "World":
        hooks = site.hooks
        with hooks.registry._mlflow.asking() as client:
            return World(
                serving=hooks.deployments.current(MODEL),
                aliases=hooks.registry.aliases(MODEL),
                versions=[str(version.version) for version in client.search_model_versions(f"name = '{MODEL}'")],
                registered=[model.name for model in client.search_registered_models()],
                experiments=[experiment.name for experiment in client.search_experiments()],
                decisions=hooks.ledger.entries(
                    kinds=[EntryKind.TRAINED, EntryKind.JUDGED, EntryKind.BLESSED, EntryKind.DEPLOYED]
                ),
            )


@pytest.fixture(scope="module")
def champion(site: Site) -> World:
    """Have something to lose."""
    site.deliver(MODEL, hourly())
    site.declare(MODEL)
    assert site.retrain(MODEL).outcome == "promoted"
    return World.look(site)


def deliver(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Broken:
    return lambda site, healthy: site.deliver(MODEL, change(healthy))


def declare(**sections: Any) -> Broken:
    return lambda site, _: site.declare(MODEL, **sections)


def data(site: Site, **changes: Any) -> dict[str, Any]:
    return {"source": str(site.home / "data" / f"{MODEL}.csv"), "time": "at", "target": "up", **changes}


def in_latin_1(site: Site, healthy: pd.DataFrame) -> None:
    healthy.assign(region="Zürich").to_csv(site.deliver(MODEL, healthy), index=False, encoding="latin-1")


def widen(healthy: pd.DataFrame) -> pd.DataFrame:
    head = healthy.head(300)
    return pd.concat(
        [head, pd.DataFrame(np.zeros((len(head), 10_000)), columns=[f"c{i}" for i in range(10_000)])], axis=1
    )


@pytest.mark.parametrize(
    ("breaks", "conf", "says"),
    [
        pytest.param(
            lambda site, _: site.declare(MODEL, data=data(site, target="uup")),
            {},
            ["data.target", "'uup' is not a column of price.csv", "did you mean 'up'"],
            id="wrong target",
        ),
        pytest.param(
            deliver(lambda healthy: healthy.assign(up=1)),
            {},
            ["the target 'up' has 1 class (1)", "widen data.window"],
            id="one class only",
        ),
        pytest.param(
            deliver(lambda healthy: healthy.assign(wind=None)),
            {},
            ["wind: every row is empty", "data.drop"],
            id="column without any value",
        ),
        pytest.param(
            lambda site, healthy: (
                site.declare(MODEL, data=data(site, key=["at"])),
                site.deliver(MODEL, healthy.assign(at=healthy["at"].iloc[0])),
            ),
            {},
            ["repeat an earlier one (by at)", "checks.max_duplicate_share"],
            id="duplicate times",
        ),
        pytest.param(
            deliver(lambda healthy: healthy.assign(at="soon")),
            {},
            ["data.time", "'at'", "price.csv", "'soon'", "data.time_format"],
            id="times that are none",
        ),
        pytest.param(
            deliver(lambda healthy: healthy),
            {"as_of": "2020-01-01T00:00:00Z"},
            ["price.csv", "holds no rows in the window", "2024-01-01", "as-of"],
            id="empty window",
        ),
        pytest.param(deliver(lambda healthy: healthy.head(1)), {}, ["price.csv", "1 row", "data.window"], id="one row"),
        pytest.param(
            lambda site, healthy: (site.declare(MODEL, checks={"min_rows": 1}), site.deliver(MODEL, healthy.head(5))),
            {},
            ["; the holdout part has 1 of the window's 5 rows, 10 are needed", "about 63 in all"],
            id="too few rows to divide",
        ),
        pytest.param(in_latin_1, {}, ["price.csv", "not UTF-8", "line 2", "encoding: latin-1"], id="not UTF-8"),
        pytest.param(deliver(widen), {}, ["price.csv", "10,006 columns", "at most 2,000"], id="ten thousand columns"),
        pytest.param(deliver(lambda healthy: healthy.head(0)), {}, ["price.csv", "holds no rows"], id="header only"),
    ],
)
def test_bad_data_are_refused_in_one_sentence(
    site: Site, champion: World, breaks: Broken, conf: dict[str, Any], says: list[str]
) -> None:
    site.declare(MODEL)
    breaks(site, hourly())
    run = site.retrain(MODEL, **conf)
    assert (run.state, run.outcome) == ("failed", "data_refused")
    assert [task for task, state in run.tasks.items() if state == "failed"] == ["outcome"], "no red task, as in a crash"
    assert_one_sentence(run.sentence, says)
    assert World.look(site) == champion


def test_a_newest_part_of_one_class_is_quarantined_with_its_evidence_before_anything_is_trained(
    site: Site, champion: World
) -> None:
    healthy = hourly()
    healthy.loc[healthy.index[len(healthy) * 4 // 5 :], "up"] = 1
    site.declare(MODEL)
    site.deliver(MODEL, healthy)
    run = site.retrain(MODEL)
    assert (run.state, run.outcome, run.tasks["train"]) == ("failed", "data_refused", "skipped")
    says = ["check was refused", "holdout part of 600 rows has the single class '1' of 'up'", "split.holdout (20%)"]
    assert_one_sentence(run.sentence, says)
    [quarantined] = site.hooks.ledger.entries(kinds=[EntryKind.QUARANTINED], run=run.key)
    [finding] = [
        found
        for found in json.loads((Path(str(quarantined.facts["evidence"])) / "report.json").read_text())["findings"]
        if found["failed"]
    ]
    assert (finding["check"], finding["measured"]) == ("split_labels", 1)
    assert World.look(site) == champion


def assert_one_sentence(sentence: str, says: list[str]) -> None:
    assert [part for part in says if part not in sentence] == []
    assert "\n" not in sentence
    assert "Traceback" not in sentence


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param(
            declare(train={"estimator": "random_forrest"}),
            ["train.estimator", "did you mean 'random_forest'"],
            id="unknown estimator",
        ),
        pytest.param(
            declare(gates=[{"metric": "roc_auc", "floor": 7}]),
            ["gates[0]", "floor 7 can never be passed"],
            id="absurd gate",
        ),
        pytest.param(
            lambda site, _: site.spec_path(MODEL).write_text(BOMB, encoding="utf-8"),
            ["alias *a", "Write the value out"],
            id="YAML bomb",
        ),
        pytest.param(
            declare(train={"trainer": "../../evil.py:train"}),
            ["train.trainer", "climbs out with '..'"],
            id="trainer outside",
        ),
        pytest.param(
            lambda site, _: site.declare(MODEL, data=data(site, source="../../etc/passwd")),
            ["data.source", "climbs out with '..'"],
            id="source outside",
        ),
    ],
)
def test_a_bad_declaration_is_refused_in_one_sentence(
    site: Site, champion: World, breaks: Broken, says: list[str]
) -> None:
    breaks(site, hourly())
    where = f"{site.spec_path(MODEL)}:"
    told = understudy(site, "check", MODEL)
    assert_one_sentence(told, [where, *says])

    run = site.retrain(MODEL)
    assert (run.state, run.tasks) == ("failed", {"broken_spec": "failed"})
    assert World.look(site) == champion


def understudy(site: Site, *arguments: str) -> str:
    """Return the one line that a failing command prints."""
    with site.here() as patch:
        patch.setenv("COLUMNS", "1000")
        answer = CliRunner().invoke(app, list(arguments))
    assert answer.exit_code == 1
    assert isinstance(answer.exception, SystemExit)
    return answer.output.strip()


def test_code_that_a_link_leads_out_of_the_models_folder_is_refused(
    site: Site, champion: World, tmp_path: Path
) -> None:
    outside = tmp_path / "evil.py"
    outside.write_text("def train(frame, params, context):\n    raise SystemExit(9)\n", encoding="utf-8")
    site.deliver(MODEL, hourly())
    path = site.declare(MODEL, train={"trainer": "trainer.py:train"})
    link = path.parent / "trainer.py"
    link.symlink_to(outside)
    assert_one_sentence(understudy(site, "check", MODEL), ["link 'trainer.py'", "leads out of that folder"])
    run = site.retrain(MODEL)
    link.unlink()
    assert run.state == "failed"
    assert_one_sentence(run.sentence, ["link 'trainer.py'", "leads out of that folder"])
    assert World.look(site) == champion


def test_a_source_outside_of_the_allowed_folders_is_refused(
    site: Site, champion: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__UNDERSTUDY__DATA_ROOTS", str(site.home / "data"))
    site.deliver(MODEL, hourly())
    site.declare(MODEL, data=data(site, source="/etc/passwd"))
    run = site.retrain(MODEL)
    assert run.state == "failed"
    assert_one_sentence(run.sentence, ["data.source '/etc/passwd'", "outside of"])
    assert World.look(site) == champion


def test_a_source_that_is_not_there_is_named(site: Site, champion: World) -> None:
    site.declare(MODEL, data=data(site, source="/nowhere/prices.csv"))
    assert_one_sentence(understudy(site, "check", MODEL), ["'/nowhere/prices.csv' matches no file", "correct the path"])
    run: Run = site.retrain(MODEL)
    assert run.state == "failed"
    assert_one_sentence(run.sentence, ["'/nowhere/prices.csv' matches no file"])
    assert World.look(site) == champion


def test_a_model_that_never_had_a_champion_gets_no_half_of_one(site: Site, champion: World) -> None:
    path = site.declare("fresh")
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    site.deliver("fresh", hourly().assign(up=1))
    assert spec["model"] == "fresh"
    run = site.retrain("fresh")
    assert (run.state, run.outcome) == ("failed", "data_refused")
    assert site.hooks.deployments.current("fresh") is None
    assert World.look(site) == champion


def test_the_few_rows_without_a_time_are_counted_shown_and_set_aside(site: Site, champion: World) -> None:
    rows = hourly()
    rows["at"] = rows["at"].astype(str)
    rows.loc[rows.index[-5:], "at"] = "soon"
    site.declare(MODEL)
    site.deliver(MODEL, rows)
    run = site.retrain(MODEL)
    [judged] = site.hooks.ledger.entries(kinds=[EntryKind.DATA_JUDGED], run=run.key)
    assert (judged.facts["verdict"], judged.facts["rows"], judged.facts["bad_rows"]) == ("passed", len(rows), 5)
    [quarantined] = (site.home / "workspace").rglob(f"{run.key}/**/quarantine.parquet")
    assert set(pd.read_parquet(quarantined)["_why"]) == {"at: no time (soon)"}
