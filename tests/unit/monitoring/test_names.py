"""Rules and boards ask only for what the code shows, alerts have runbooks, and what is provisioned fits together."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.monitoring.rules import rules
from understudy.contract.words import AlertKind
from understudy.exporter.measures import MEASURES as EXPORTED
from understudy.gateway.measures import MEASURES as SHOWN

PROJECT = Path(__file__).resolve().parents[3]
GRAFANA = PROJECT / "include" / "monitoring" / "grafana"
BOARDS = sorted((GRAFANA / "boards").glob("*.json"))
METRIC = re.compile(r"\bunderstudy_[a-z_]+")
SELECTED = re.compile(r"\b(understudy_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
BY_PROMETHEUS = {"job", "instance", "le"}
UNITS = {"short", "s", "bytes", "reqps", "ops", "percentunit"}
LABELS = {series: set(metric.labels) for metric in (*EXPORTED, *SHOWN) for series in metric.series}


def boards() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in BOARDS:
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in boards():
        for panel in board["panels"]:
            yield f"{name}: {panel.get('title')}", panel


def queries() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for title, panel in panels():
        for target in panel["targets"]:
            yield title, target["expr"]
    for name, board in boards():
        for variable in board["templating"]["list"]:
            yield name, variable["query"]["query"]


def test_names_keep_to_the_conventions_of_prometheus() -> None:
    names = [metric.name for metric in (*EXPORTED, *SHOWN)]
    assert len(names) == len(set(names))
    for metric in (*EXPORTED, *SHOWN):
        assert METRIC.fullmatch(metric.name)
        assert metric.help.endswith(".")
        assert metric.name.endswith("_total") == (metric.kind.value == "counter"), metric.name


def test_every_metric_that_is_asked_for_is_shown() -> None:
    asked = {name for _, query in queries() for name in METRIC.findall(query)}
    assert asked - LABELS.keys() == set()


def test_every_label_that_is_asked_for_is_one_of_its_metric() -> None:
    wrong = [
        (where, name, label)
        for where, query in queries()
        for name, selector in SELECTED.findall(query)
        for label in LABEL.findall(selector)
        if label not in LABELS[name] | BY_PROMETHEUS
    ]
    assert wrong == []


def test_every_metric_is_documented() -> None:
    told = (PROJECT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [metric.name for metric in (*EXPORTED, *SHOWN) if f"`{metric.name}" not in told] == []


def test_panels_have_titles_explanations_units_and_the_one_data_source() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8"))
    (source,) = provisioned["datasources"]
    for where, panel in panels():
        assert panel["title"], where
        assert panel["description"].endswith("."), where
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, where
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": source["type"], "uid": source["uid"]}, where


def test_panels_do_not_lie_over_each_other() -> None:
    for name, board in boards():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, (name, panel["title"])
            assert at["x"] + at["w"] <= 24
            taken |= cells
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))


def test_boards_have_names_of_their_own() -> None:
    assert [path.name for path in BOARDS] == ["fleet.json", "gateway.json", "model.json"]
    assert len({board["uid"] for _, board in boards()}) == 3


def headings() -> set[str]:
    text = (PROJECT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    return {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("## ")
    }


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_rule_points_to_a_runbook(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert path == "docs/runbooks.md"
    assert anchor in headings()


def test_every_kind_of_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    kinds = {kind.value.replace("_", "-") for kind in AlertKind}
    pointed = {rule["annotations"]["runbook"].partition("#")[2] for rule in rules()}
    assert kinds - headings() == set()
    assert headings() - kinds - pointed == set()
