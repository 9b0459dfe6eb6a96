"""What operators get: alerts that fire when they should, a dashboard of metrics that exist, a section an alert."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from serving.http_metrics import Metrics
from serving.http_tally import DecisionTally

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "serving" / "operating" / "rules.yml"
DASHBOARD = ROOT / "serving" / "operating" / "dashboard.json"
OF_PROMETHEUS = {"up"}


def alerts() -> list[str]:
    return re.findall(r"^\s*- alert: (\w+)$", RULES.read_text("utf-8"), flags=re.MULTILINE)


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def metrics_there() -> set[str]:
    """Return the names of all samples that a server writes once something of each kind was counted."""
    metrics = Metrics(None)
    metrics.count("/v1/challenge", 200, 0.1)
    metrics.count_load(taken_up=True, at=1.0)
    metrics.tell_bundle("a", 1.0)
    metrics.tell_now(1.0)
    metrics.tell_share("churn", 0, 0.1)
    metrics.count_score("churn", 0, 1)
    metrics.count_events(accepted=1, duplicates=0, rejected=0)
    metrics.observe_lag(1.0)
    metrics.observe_state("read", 0.1)
    metrics.count_state_failure("read")
    metrics.count_without_state()
    tally = DecisionTally(metrics)
    tally.note("/v1/challenge", {"items": [{"role": "habit", "reason": {"code": "habit_due"}}]})
    tally.note("/v1/offers", {"offers": [], "withheld": [{"reason": {"code": "cap_reached"}}]})
    tally.flush()
    return set(re.findall(r"^(tercet_\w+)", metrics.text().decode(), flags=re.MULTILINE))


def test_every_alert_has_a_section_that_says_what_to_do() -> None:
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs" / "operations.md").read_text("utf-8"), flags=re.MULTILINE)

    assert alerts()
    assert [each for each in sections if each.startswith("Tercet")] == alerts()


@pytest.mark.parametrize("text", [RULES.read_text("utf-8"), "\n".join(expressions())], ids=["rules", "dashboard"])
def test_only_metrics_that_a_server_writes_are_asked_for(text: str) -> None:
    asked = set(re.findall(r"\btercet_\w+", text))

    assert len(asked) > 10
    assert asked <= metrics_there()


def test_the_dashboard_shows_every_metric() -> None:
    asked = set(re.findall(r"\b(tercet_\w+)", "\n".join(expressions())))
    families = {name for name in metrics_there() if not name.endswith(("_sum", "_count", "_created"))}

    of_drift = {"tercet_asking_customers_total", "tercet_expected_share"}  # shown as the index that is made of them
    assert families - asked - of_drift - {"tercet_bundle_loaded_timestamp_seconds"} == set()


def test_no_panel_lies_on_another() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels]

    assert len(set(places)) == len(panels)
    assert {each["id"] for each in panels} == set(range(1, len(panels) + 1))


def test_every_alert_is_tried() -> None:
    tried = (ROOT / "tests" / "operating" / "rules_test.yml").read_text("utf-8")

    assert set(re.findall(r"alertname: (\w+)", tried)) == set(alerts())
    assert set(re.findall(r'alertname="(\w+)"', tried)) == set(alerts())


def test_both_are_in_the_package() -> None:
    assert {each.name for each in (files("serving") / "operating").iterdir()} >= {RULES.name, DASHBOARD.name}


@pytest.mark.slow
def test_prometheus_own_tool_finds_the_rules_right_and_the_alerts_fire(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        lacking = "promtool is not on this machine: the rules are checked with Debian's package prometheus"
        if os.environ.get("TERCET_CI") == "1":
            pytest.fail(lacking)
        pytest.skip(lacking)
    for file in (RULES, Path(__file__).with_name("rules_test.yml")):
        shutil.copy(file, tmp_path)

    for command in (["check", "rules", RULES.name], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
