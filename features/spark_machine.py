"""The Java machine that pyspark starts: whether it lives, and how it is ended so that another one can be started.

pyspark 4.3 keeps its machine in class attributes for as long as the process lives, also once it is dead: every
later call then ends in a refused connection, MLflow's among them, which asks Spark wherever it finds a session.
"""

from __future__ import annotations

import signal
import subprocess
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.sql import SparkSession

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class JavaMachine:
    """The machine behind this process's Spark."""

    gateway: Any  # py4j has no types

    @classmethod
    def current(cls) -> JavaMachine | None:
        """Return the machine that was started last, dead or alive; None where there is none."""
        return None if SparkContext._gateway is None else cls(SparkContext._gateway)

    def status(self, patience_s: float = 1.0) -> str | None:
        """Return how the machine ended, None while it lives: `exit status 1`, or the name of the signal."""
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None
        return f"exit status {code}" if code >= 0 else signal.Signals(-code).name

    def end(self) -> None:
        """End the machine, dead or alive, and make pyspark forget it."""
        session = SparkSession._instantiatedSession
        with warnings.catch_warnings(), suppress(Py4JError, OSError):
            warnings.simplefilter("ignore")  # pyspark warns of a machine that is gone
            if session is not None:
                session.stop()
        with suppress(Py4JError, OSError):
            self.gateway.shutdown()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()  # it ends once nobody holds its input open
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        SparkSession._instantiatedSession = SparkSession._activeSession = None
        SparkContext._active_spark_context = None
        SparkContext._gateway = SparkContext._jvm = None

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = self.gateway.proc
        return process
