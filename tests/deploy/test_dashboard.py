"""The dashboard: every panel asks for metrics that there are, and together they leave none out."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from conftest import DEPLOY, declared_metrics, metrics_in, read_yaml

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/recant.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
SHOWING = [panel for panel in PANELS if panel["type"] != "row"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def targets() -> list[tuple[str, str]]:
    """Title and expression of everything that is asked for."""
    return [(panel["title"], target["expr"]) for panel in SHOWING for target in panel["targets"]]


@pytest.mark.parametrize(("title", "expression"), targets())
def test_each_panel_asks_for_metrics_of_the_program(
    title: str, expression: str, shown_metrics: set[str]
) -> None:
    named = metrics_in(expression)
    assert named <= shown_metrics, title
    assert named or expression.startswith("up{"), title


def test_no_metric_of_the_program_is_left_out() -> None:
    asked = set().union(*(metrics_in(expression) for _, expression in targets()))
    assert set(declared_metrics()) <= asked


def test_the_source_of_the_data_is_chosen_by_who_looks() -> None:
    for panel in SHOWING:
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert {"job", "instance"} < set(variables)


def test_panels_have_their_own_numbers_and_places() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
    assert all(panel.get("description") for panel in SHOWING)


def test_grafana_is_told_where_both_are() -> None:
    folder = DEPLOY / "grafana/provisioning"
    source = read_yaml(folder / "datasources/prometheus.yaml")["datasources"][0]
    compose = read_yaml(DEPLOY / "compose.yaml")["services"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in compose
    scrape = read_yaml(DEPLOY / "prometheus/prometheus.yaml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape
    path = read_yaml(folder / "dashboards/recant.yaml")["providers"][0]["options"]["path"]
    assert f"./grafana/recant.json:{path}/recant.json:ro" in compose["grafana"]["volumes"]
