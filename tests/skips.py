"""Under `TERCET_CI=1` a test that was skipped has failed: `.ci/run` installs whatever a test needs of the machine."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a test that was skipped into one of a failure."""
    return _as_failed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the report of a module that was skipped as a whole into one of a failure."""
    return _as_failed((yield))


def _as_failed(report: Report) -> Report:
    is_expected = hasattr(report, "wasxfail")
    if os.environ.get("TERCET_CI") == "1" and report.outcome == "skipped" and not is_expected:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: no test may be skipped under TERCET_CI=1. {why}"
    return report
