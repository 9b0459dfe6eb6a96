"""What tests on Spark need of the machine."""

from __future__ import annotations

import os
import shutil

import pytest


def need_java() -> None:
    """Skip on a machine without Java."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        lacking = "Java is not on this machine: Spark needs openjdk-17-jre-headless or newer"
        pytest.skip(lacking)
