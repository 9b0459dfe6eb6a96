"""schemathesis over the document of a real server: single calls, and calls that follow from each other."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.contracts.schemathesis_options import OPTIONS
from tests.serving.running import publish, running


def fuzz_api(seconds: float, seed: int) -> bool:
    """Run schemathesis against a server of the tiny shop and say whether it found nothing."""
    with tempfile.TemporaryDirectory(prefix="tercet-fuzz-") as folder:
        home, options = Path(folder) / "home", Path(folder) / "schemathesis.toml"
        options.write_text(OPTIONS)
        publish(home)
        program = Path(sys.executable).with_name("schemathesis")
        with running(home) as server:
            server.wait_until_ready()
            given = ["--checks", "all", "--max-time", f"{max(seconds, 1):.0f}", "--seed", str(seed), "--no-color"]
            found = subprocess.run([program, "run", f"{server.url}/docs.json", *given], cwd=folder, check=False)
            log = server.log.read_text("utf-8")
    lines = [line for line in log.splitlines() if '"level":"error"' in line]
    sys.stdout.write("\n".join(lines))
    return found.returncode == 0 and not lines
