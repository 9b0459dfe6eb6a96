"""What operators get: alerts that fire when they should, a dashboard of metrics that exist, a section an alert."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

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
    metrics.tell_refused(is_refused=True)
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


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Yield where `kept` lacks what was given, or has it otherwise."""
    if isinstance(given, dict):
        for name, value in given.items():
            yield from lost(value, kept[name], f"{place}.{name}") if name in kept else [f"{place}.{name}"]
    elif isinstance(given, list) and len(given) == len(kept):
        for i, pair in enumerate(zip(given, kept, strict=True)):
            yield from lost(*pair, f"{place}[{i}]")
    elif given != kept:
        yield place


def as_grafana_has_it(board: Any) -> Any:
    """Return the dashboard after its way through Grafana's own types, which keep what they know."""
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board)))


def test_grafanas_own_types_know_all_that_the_dashboard_says() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))

    assert list(lost(board, as_grafana_has_it(board))) == []


def test_a_word_that_grafana_does_not_know_is_found() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    board["panels"][0]["fieldConfig"]["defaults"]["unitt"] = "s"
    board["panels"][1]["targets"][0]["exprr"] = "1"

    assert list(lost(board, as_grafana_has_it(board))) == [
        ".panels[0].fieldConfig.defaults.unitt",
        ".panels[1].targets[0].exprr",
    ]


def promtool() -> str:
    """Return Prometheus' own tool."""
    found = shutil.which("promtool")
    if found is None:
        lacking = "promtool is not on this machine: the rules are checked with Debian's package prometheus"
        pytest.skip(lacking)
    return found


@pytest.mark.slow
def test_prometheus_own_tool_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    exprs = [each.replace("$__rate_interval", "5m") for each in expressions()]
    assert len(exprs) > 12
    assert not [each for each in exprs if "$" in each]

    def checked(exprs: list[str]) -> subprocess.CompletedProcess[str]:
        rules = [{"record": f"tercet:panel_{i}", "expr": each} for i, each in enumerate(exprs)]
        # JSON is YAML as well.
        (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        command = [promtool(), "check", "rules", "panels.yml"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = checked(exprs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(exprs)} rules found" in done.stdout
    assert checked([*exprs, "sum by (rate(tercet_requests_total[5m]))"]).returncode != 0


@pytest.mark.slow
def test_prometheus_own_tool_finds_the_rules_right_and_the_alerts_fire(tmp_path: Path) -> None:
    for file in (RULES, Path(__file__).with_name("rules_test.yml")):
        shutil.copy(file, tmp_path)

    for command in (["check", "rules", RULES.name], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run([promtool(), *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
