"""What tests on Spark need of the machine."""

from __future__ import annotations

import os
import shutil

import pytest


def need_java() -> None:
    """Skip on a machine without Java; in CI a machine without it is a failure."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        lacking = "Java is not on this machine: Spark needs openjdk-17-jre-headless or newer"
        if os.environ.get("TERCET_CI") == "1":
            pytest.fail(lacking)
        pytest.skip(lacking)
