"""`make audit`: a bill of materials of what is installed (CycloneDX), and what is known against it (pip-audit)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {each: ROOT / "requirements" / f"{each}.lock" for each in ("serving", "training", "all")}
OUT = ROOT / "dist" / "sbom"


@dataclass(frozen=True)
class Audit:
    """What pip-audit found: how many packages it could look up, and the advisories of each that has some."""

    n_looked_up: int
    n_unknown: int
    advisories: Mapping[str, tuple[str, ...]]

    def text(self) -> str:
        """Return the finding in a line for each package that has advisories, and one of all."""
        lines = [f"  {name}: {', '.join(ids)}" for name, ids in self.advisories.items()]
        if not self.n_looked_up:
            return f"nothing was audited: the index here has no advisories for any of {self.n_unknown} packages"
        unknown = f", {self.n_unknown} could not be looked up" if self.n_unknown else ""
        found = f"{len(lines)} of {self.n_looked_up} packages have advisories{unknown}"
        return "\n".join([found, *lines])


def write_sbom(lock: Path, out: Path) -> None:
    """Write the bill of materials of a lock file: each package with its version and the hashes of its files.

    It is not checked against CycloneDX's schema here: a test does that.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    about = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    options = [*about, "--output-reproducible", "--no-validate", "--spec-version", "1.6"]
    program = Path(sys.executable).with_name("cyclonedx-py")
    command = [sys.executable, "-W", "ignore", str(program), "requirements", str(lock), *options, "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"cyclonedx-py: {done.stderr[-500:]}")


def audited(lock: Path) -> Audit:
    """Return what pip-audit says of a lock file."""
    program = Path(sys.executable).with_name("pip-audit")
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json", "-r", str(lock)]
    done = subprocess.run([str(program), *options], capture_output=True, text=True, check=False)
    try:
        return finding(json.loads(done.stdout))
    except ValueError:
        raise SystemExit(f"pip-audit gave no report: {done.stderr[-500:]}") from None


def finding(report: Mapping[str, Any]) -> Audit:  # Any: pip-audit's JSON
    """Return what a report of pip-audit says."""
    rows = report["dependencies"]
    known = [row for row in rows if "skip_reason" not in row]
    advisories = {f"{row['name']} {row['version']}": tuple(each["id"] for each in row["vulns"]) for row in known}
    return Audit(len(known), len(rows) - len(known), {name: ids for name, ids in advisories.items() if ids})


def main() -> int:
    """Write the bills of materials and print what is known against each; 1 where anything is."""
    is_bad = False
    for name, lock in LOCKS.items():
        out = OUT / f"{name}.cdx.json"
        write_sbom(lock, out)
        print(f"{out.relative_to(ROOT)}: {len(json.loads(out.read_text('utf-8'))['components'])} packages")
        audit = audited(lock)
        print(f"{lock.relative_to(ROOT)}: {audit.text()}")
        is_bad |= bool(audit.advisories)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
