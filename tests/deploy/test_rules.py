"""The alert rules: what they name is there, and each is tried and explained."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest

from conftest import DEPLOY, ROOT, metrics_in, read_yaml, settings

FILE = DEPLOY / "prometheus/rules.yaml"
RULES: list[dict[str, Any]] = [
    rule for group in read_yaml(FILE)["groups"] for rule in group["rules"]
]
EACH = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
RUNBOOK = (ROOT / "docs/runbooks.md").read_text()


def promtool(*arguments: str) -> None:
    """Runs promtool among the rules."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        ["promtool", *arguments], cwd=FILE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", FILE.name)


def test_each_rule_fires_by_its_cause_and_not_before() -> None:
    promtool("test", "rules", "rules.test.yaml")


@EACH
def test_each_rule_is_among_those_that_are_tried(rule: dict[str, Any]) -> None:
    tests = read_yaml(FILE.parent / "rules.test.yaml")["tests"]
    samples = [
        sample["labels"]
        for test in tests
        for step in test["promql_expr_test"]
        for sample in step["exp_samples"]
    ]
    assert any(f'alertname="{rule["alert"]}"' in labels for labels in samples)


@EACH
def test_each_rule_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook"}
    assert annotations["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"
    section = RUNBOOK.split(f"\n### {rule['alert']}\n")[1].split("\n#")[0]
    severity = rule["labels"]["severity"].capitalize()
    assert section.strip().startswith(f"*{severity}")
    for part in ("**It means**", "**Look", "**do"):
        assert part.lower() in section.lower(), part


def test_the_runbook_explains_no_rule_that_is_gone() -> None:
    explained = re.findall(r"^### (Recant\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(explained) == sorted(rule["alert"] for rule in RULES)


@EACH
def test_each_rule_looks_at_metrics_of_the_program(
    rule: dict[str, Any], shown_metrics: set[str]
) -> None:
    for text in (rule["expr"], rule["annotations"]["description"]):
        assert metrics_in(text) <= shown_metrics


@EACH
def test_each_rule_names_settings_that_there_are(rule: dict[str, Any]) -> None:
    sections = "|".join(name for name in settings() if "." not in name)
    named = re.findall(rf"\b(?:{sections})\.[a-z_]+\b", rule["annotations"]["description"])
    assert set(named) <= settings()
