"""The alert rules and the dashboard: they ask for metrics that exist, and fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from django_at_jwt.metrics.definitions import EVENT_METRICS, Kind
from django_at_jwt.metrics.gauges import GAUGES

FILES = Path(__file__).parent.parent.parent / "docs" / "monitoring"
ALERTS = FILES / "alerts.yml"
DASHBOARD = FILES / "grafana-dashboard.json"
ALERT_TESTS = Path(__file__).parent / "alerts_test.yml"

METRICS = {metric.name: metric for metric in (*EVENT_METRICS, *GAUGES)}
# The expressions of the rules, without the texts, which are for people.
RULES = re.sub(r"^ +(summary|description): .*$", "", ALERTS.read_text(), flags=re.MULTILINE)
EXPRESSIONS = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (prometheus) is not installed")


def samples_of(metric):
    name = f"django_at_jwt_{metric.name}"
    if metric.kind is Kind.COUNTER:
        return {f"{name}_total"}
    return {f"{name}_{part}" for part in ("bucket", "sum", "count")} if metric.kind is Kind.HISTOGRAM else {name}


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("text", [RULES, "\n".join(EXPRESSIONS)], ids=["alerts", "dashboard"])
class TestExpressions:
    def test_each_metric_exists(self, text):
        asked = set(re.findall(r"\bdjango_at_jwt_\w+", text))
        assert asked
        assert asked <= set().union(*map(samples_of, METRICS.values()))

    def test_each_label_exists(self, text):
        known = {"job", "instance", "le", *(label for metric in METRICS.values() for label in metric.labels)}
        for metric, selector in re.findall(r"django_at_jwt_(\w+)\{(.*?)\}", text):
            name = re.sub(r"_(total|bucket|sum|count)$", "", metric)
            asked = set(re.findall(r"(\w+)[=!]", selector))
            assert asked <= {"job", *METRICS[name].labels}, metric
        grouped = {label for group in re.findall(r"by \((.*?)\)", text) for label in re.split(r",\s*", group)}
        assert grouped <= known


def test_dashboard_shows_each_metric():
    text = "\n".join(EXPRESSIONS)
    # Keys and rotations are counted where they are made: in commands, which nothing asks.
    elsewhere = {"keys_made", "keys_revoked", "rotations", "database_readable"}
    missing = {name for name, metric in METRICS.items() if not any(sample in text for sample in samples_of(metric))}
    assert missing == elsewhere


def test_panels_of_the_dashboard_do_not_overlap():
    cells = [
        (x, y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))


@needs_promtool
def test_rules_are_valid():
    run = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
@pytest.mark.ci
def test_rules_fire_when_they_should_and_only_then():
    run = promtool("test", "rules", ALERT_TESTS)
    assert run.returncode == 0, run.stdout + run.stderr
    # Each is tested with data for which it fires, and with data for which it does not.
    text = ALERT_TESTS.read_text()
    for alert in re.findall(r"- alert: (\w+)", ALERTS.read_text()):
        assert re.search(rf"\{{eval_time: \w+, alertname: {alert}\}}", text), alert
        assert re.search(rf"alertname: {alert}\n +exp_alerts:", text), alert


@needs_promtool
def test_expressions_of_the_dashboard_are_valid(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$job", ".+").replace("$__rate_interval", "5m")}
        for number, expression in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    run = promtool("check", "rules", path)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
@pytest.mark.django_db
def test_exposition_is_accepted(signing_keys, service, client):
    service.token("client_credentials", scope="read")
    page = client.get("/metrics").content
    lines = [line for line in page.splitlines(keepends=True) if b"django_at_jwt_" in line]
    run = subprocess.run(["promtool", "check", "metrics"], input=b"".join(lines), capture_output=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
